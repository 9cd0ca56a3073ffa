"""Everything that runs: use cases by domain, and the doors that lead to them.

`wiring` hands each use case what it needs; `celery_app` and `celery_tasks` are the door
of the broker. Start with `docs/architecture.md`.
"""
