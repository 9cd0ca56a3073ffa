"""Parquet: a file's footer and pages held to bounds, its columns as texts.

Imports what `readers` imports, and pyarrow, which takes 30 MB that few processes need.
Start with `parquet_file`.
"""
