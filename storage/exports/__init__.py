"""What is remembered of exports alone: the parts of their files, and templates.

Imports `files` and `jobs`. Start with `file_parts`.
"""
