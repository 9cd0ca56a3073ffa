"""What a file is before a reader sees it: declared, compressed, of another kind.

Imports `infrastructure` and the table that readers answer. Start with `signatures`.
"""
