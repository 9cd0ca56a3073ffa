"""Workbooks: XLSX, XLSB, XLS and ODS, read in a process of their own.

Imports `infrastructure` and the table that readers answer. Start with `workbook`, which
starts `sheet_process`, a program that knows nothing of ours.
"""
