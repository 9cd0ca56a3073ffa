"""The chain's use cases: sealing, pinning its head outside, looking through it.

Start with `seals`, which says what a seal is, then `sealer` and `verifier`.
"""
