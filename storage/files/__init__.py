"""Files beside the database: inputs, parts and export files, in a folder or in S3.

Imports `errors` and, for a file with its row, `database`. Start with `artifacts`, the
interface that both stores have.
"""
