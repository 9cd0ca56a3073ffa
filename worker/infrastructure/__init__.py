"""What has nothing to do with credits: settings, clock, errors, keys, HTTP, limits.

Imports `storage` alone, and no use case. Start with `dependencies`: what every use case
is given.
"""
