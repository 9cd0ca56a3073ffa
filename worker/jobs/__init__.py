"""The spine: submit, dispatch, run chunk by chunk, complete, and sweep up.

Imports `quotes`, `findings` and `licenses`; of exports and pushes it knows the protocol
in `delivery` alone. Start with `submission`, then `chunk_runner`.
"""
