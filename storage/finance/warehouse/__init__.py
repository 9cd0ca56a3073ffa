"""What a warehouse loads: the rows of money of some periods, all as of one moment.

Start with `ledger_rows`.
"""
