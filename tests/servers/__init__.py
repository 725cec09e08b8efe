"""Real servers on loopback, with faults to order."""
