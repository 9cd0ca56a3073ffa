"""Use cases of finance: what closes a month, and what makes others believe it.

Imports `storage.finance`, `licenses`, `exports` and `quotes`, whose files it reads
again, and `responses`. Start with `statements`, then `chain`, then `reconciliation`.
"""
