"""Use cases of finance: what closes a month, and what makes others believe it.

Imports `storage.finance`. Start with `chain`.
"""
