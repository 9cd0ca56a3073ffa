"""Everything that runs: use cases by domain, and API, command line and tasks over them.

`wiring` hands each use case what it needs; `celery_app` and `celery_tasks` are called
through the broker. They import all but `api` and `cli`. Start with
`docs/architecture.md`.
"""
