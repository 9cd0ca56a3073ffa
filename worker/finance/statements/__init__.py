"""Statements of periods, their closing, and the formats that they are had in.

Start with `statements`, then `period_close`; each format renders `statement_table`.
"""
