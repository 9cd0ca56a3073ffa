"""The HTTP API: leads to the same use cases as the command line.

Imports every use case; nothing imports it but `cli`. Start with `app`, then `routes`.
"""
