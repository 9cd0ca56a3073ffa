"""What operators look at: when each chore was done last."""

from sqlalchemy import Column, Table, Text

from storage.tables.column_types import NOW, Instant, metadata

chore_runs = Table(
    "chore_runs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("done_at", Instant, nullable=False, server_default=NOW),
)
