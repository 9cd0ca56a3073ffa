"""Uploads as they are stored: files that wait to be quoted, and how they are mapped.

Imports `tables` and `files`. Start with `uploads`.
"""
