"""What a warehouse and an accountant load: rows of money as files, and as journals.

Start with `bulk_export`.
"""
