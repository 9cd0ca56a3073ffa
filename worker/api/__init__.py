"""The HTTP API: a door to the same use cases as the command line."""
