"""The libraries of the formats, which read a file and do no more.

Start with `format_reads`.
"""
