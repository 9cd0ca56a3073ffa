"""A customer's own endpoint: signed batches of records, by any names of fields.

Start with `connector`, which implements the protocol.
"""
