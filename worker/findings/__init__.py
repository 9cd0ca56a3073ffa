"""From persons to e-mails and phones: the directory, then providers in a waterfall.

Imports `quotes`, for the records. Start with `finder`, then `waterfall`.
"""
