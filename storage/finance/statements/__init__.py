"""Statements: a period's credits as one table of lines, and the runs that are frozen.

Start with `lines`: what a statement is; then `ledger_lines`, which reads one.
"""
