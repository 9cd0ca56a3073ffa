"""Export formats, one module each; a writer turns rows of texts into a file's bytes.

Imports nothing of the house. Start with `writer`, the protocol.
"""
