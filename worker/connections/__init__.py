"""A license's access to its CRMs: consent, tokens, limits, and connectors opened.

Imports `infrastructure`. Start with `connections`, then `connection_opener`.
"""
