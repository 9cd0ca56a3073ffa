"""Jobs that end in a CRM: what is to be sent, what came of it, what is in doubt.

Imports `jobs`, `quotes` and `connections`. Start with `push_kind`, then go on with
`push_delivery`.
"""
