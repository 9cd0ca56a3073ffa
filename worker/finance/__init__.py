"""What finance closes a month with: use cases over `storage.finance`.

Imports `licenses`, `exports.writers` for files, and `responses`. Start with
`statements`.
"""
