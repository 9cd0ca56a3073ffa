"""Input formats, one module each: a stream of bytes becomes a table, then records.

Imports `infrastructure` alone. Start with `table`, what readers answer, then
`mapped_records` and `records`.
"""
