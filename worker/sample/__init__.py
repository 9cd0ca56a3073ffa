"""The demo's data: the members of the U.S. Congress, as this package's files.

Imports nothing. Start with `SOURCE.md`.
"""
