"""Use cases of finance: what closes a month, and what makes others believe it.

Imports `storage.finance`, `licenses`, `exports.writers` for files, and `responses`.
Start with `statements`, then `chain`.
"""
