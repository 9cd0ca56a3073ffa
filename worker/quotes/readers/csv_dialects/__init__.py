"""How a CSV is written: its encoding, its delimiter and quote, and rows that break it.

Imports `infrastructure` and the table that readers answer. `dialect` and
`text_encoding` recognise, `row_block` gathers rows by columns, `careful_rows` reads
what the fast way could not. Start with `dialect`.
"""
