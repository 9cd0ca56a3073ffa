"""What goes: persons who were erased, and files that no row names any more."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, text

from storage.tables.column_types import NOW, Id, Instant, metadata

erasures = Table(
    "erasures",
    metadata,
    # The id alone: it keeps the person out of the directory and of all look-ups.
    Column("person_id", Id, nullable=False),
    # Empty: for everybody. No license has an empty id.
    Column("license_id", Id, nullable=False),
    Column("erased_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("person_id", "license_id"),
    # Whatever white space was around an id when it was erased, or is now.
    Index("erasures_trimmed_idx", text("holdfast_trimmed(person_id)")),
)

removals = Table(
    "removals",
    metadata,
    # A file, or a folder where it ends in a slash; gone once the row is.
    Column("name", Text, primary_key=True),
    Column("marked_at", Instant, nullable=False, server_default=NOW),
)
