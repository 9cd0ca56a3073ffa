"""What reading and writing files costs, format by format.

Start with `read_formats`; `workbooks` writes.
"""
