"""The spine: jobs, their chunks and the outbox, each moved by guarded updates.

Imports `quotes`, `ledger`, `files` and `webhooks`; of exports and pushes it knows
nothing. Start with `jobs`, then `chunks`: the checkpoint is the heart of it.
"""
