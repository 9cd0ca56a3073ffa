"""From an upload to a quote: records, duplicates, prices, and the input of a job.

Imports `licenses`; what is peculiar to exports and pushes is handed in, as
`quoted_kind` says. Start with `quote_maker`.
"""
