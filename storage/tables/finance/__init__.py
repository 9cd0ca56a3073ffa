"""What finance keeps: tables of its own, beside those of the money that it reads.

Imports `column_types`. Start with `reconciliations`.
"""
