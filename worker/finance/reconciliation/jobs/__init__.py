"""One job of a period, replayed: its records, its sums, its file, its id map.

Start with `job_check`, then `job_replay`.
"""
