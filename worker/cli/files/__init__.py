"""Files on the command line: how they are read, and what is seen in them.

Start with `uploads`.
"""
