"""What operators see and do: what was counted, and how it went over the months.

Imports `jobs`. Start with `counters`, then `history`.
"""
