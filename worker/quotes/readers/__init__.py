"""Input formats, one module each; a reader turns a stream of bytes into records.

Imports `infrastructure` alone. Start with `reader`, the protocol, and `records`.
"""
