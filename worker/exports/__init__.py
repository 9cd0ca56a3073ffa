"""Jobs that end in a file: its columns, its parts, its seal, and links to it.

Imports `jobs` and `quotes`. Start with `export_kind`, then `export_delivery`.
"""
