"""What finance closes a month with: use cases over `storage.finance`.

Imports `licenses`, `exports` and `quotes`, whose files it writes like and reads again,
and `responses`. Start with `statements`.
"""
