"""The credits: every movement is a transfer, every delivered claim has its charge.

Imports `tables`, and `webhooks` to tell of a period's end. Start with `reservations`,
then `settlement` and `release`: the way of a job's credits; `audit` says what holds.
"""
