"""The demo's data: the members of the U.S. Congress, as this package's files.

Start with `SOURCE.md`.
"""
