"""Alembic's migrations, and what runs them, or says which of them have run.

Imports `database` and the tables. Start with the newest in `versions`.
"""
