"""What spreadsheets make of texts, and how a CSV for them keeps texts what they are.

Imports no other folder. Start with `cell_texts`; `csv_beginning` says how such a file
is known again.
"""
