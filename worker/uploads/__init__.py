"""From a file to an upload: what is in it, which column is what, and its records.

Imports `quotes`, whose readers read the file and whose quotes take its records.
Start with `uploads`, then `column_mappings`.
"""
