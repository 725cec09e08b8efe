"""The protocol as generators of steps: requests out, responses in, no input or output of their own."""
