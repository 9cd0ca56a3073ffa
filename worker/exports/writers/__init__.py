"""Export formats, one module each; a writer turns rows of texts into a file's bytes.

Imports no other folder. Start with `writer`, the protocol.
"""
