"""What things cost: pure rules, no clock, no ids, no I/O.

File by file: `plans` (the price table), `periods` (when
credits live), `permission` (who may spend), `findings` (what counts as found),
`claims` (what a record asks to pay for), `quote` (the most it can cost) and
`settlement` (what it did cost). Instants and entitlements come in as arguments.
Imports no other folder. Start with `plans`.
"""
