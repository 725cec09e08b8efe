"""What an exchange with a service is made of: protocol, policies, connections."""
