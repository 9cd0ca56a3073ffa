"""The spine: jobs, their chunks and the outbox, each moved by guarded updates.

Imports `quotes`, `ledger`, `files` and `webhooks`; what exports and pushes remember of
a batch is handed in. Start with `jobs`, then `chunks`: its checkpoint settles a batch.
"""
