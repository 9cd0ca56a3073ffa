"""What operators see and do: the action log, timelines of jobs.

Imports nothing of the house. Start with `action_log`.
"""
