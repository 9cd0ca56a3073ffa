"""What finance closes a month with: use cases over `storage.finance`.

Imports exports and quotes, whose files are read again. Start with `statements`.
"""
