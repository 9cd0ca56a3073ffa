"""Quotes, the uploads that they are made of, and how files become uploads."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

from pricing.findings import EmailLevel, OnlyWith
from storage.tables.column_types import NOW, Id, Instant, metadata, one_of

uploads = Table(
    "uploads",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # The good records as a file, one JSON array a line; None once it was removed.
    Column("artifact", Text),
    Column("columns", ARRAY(Text), nullable=False),
    Column("records", Integer, nullable=False),
    Column("companies", Integer, nullable=False),
    Column("persons", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("problems", JSONB, nullable=False),
    Column("problems_total", Integer, nullable=False),
    # Records that had white space around an id; None: nobody has looked.
    Column("trimmed", Integer),
    # The file as it came, while its columns can be mapped; by which content type.
    Column("raw", Text),
    Column("content_type", Text),
    # All problems of the last time that it was read, as a file.
    Column("problem_file", Text),
    # What it was taken for, which columns were taken for which fields, how many ids
    # were derived; None: nobody has looked.
    Column("noticed", JSONB(none_as_null=True)),
    # From when on its columns are mapped no more.
    Column("quoted_at", Instant),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Index(
        "uploads_kept_idx",
        "created_at",
        postgresql_where=text(
            "artifact IS NOT NULL OR raw IS NOT NULL OR problem_file IS NOT NULL"
        ),
    ),
    Index("uploads_artifact_idx", "artifact"),
    Index("uploads_raw_idx", "raw", postgresql_where=text("raw IS NOT NULL")),
    Index(
        "uploads_problem_file_idx",
        "problem_file",
        postgresql_where=text("problem_file IS NOT NULL"),
    ),
)

# How a license's files are read and their columns mapped, by names of its own.
upload_templates = Table(
    "upload_templates",
    metadata,
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("name", Id, nullable=False),
    # A digest of the columns' names, by which a file like it is known again.
    Column("fingerprint", Text),
    Column("template", JSONB, nullable=False),
    Column("changed_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("license_id", "name"),
    Index(
        "upload_templates_fingerprint_idx",
        "license_id",
        "fingerprint",
        postgresql_where=text("fingerprint IS NOT NULL"),
    ),
)

# What makes the ids that are derived a license's own; made once and never replaced.
derivation_keys = Table(
    "derivation_keys",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
)

# The Public Suffix List as it was when a template was kept, which goes on by it.
suffix_lists = Table(
    "suffix_lists",
    metadata,
    Column("version", Id, primary_key=True),
    Column("list", Text, nullable=False),
)


quotes = Table(
    "quotes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("retrieve", ARRAY(Text), nullable=False),
    Column("email_level", Text, nullable=False),
    Column("only_with", Text),
    Column("export", JSONB(none_as_null=True)),
    Column("push", JSONB(none_as_null=True)),
    Column("terms", JSONB, nullable=False),
    Column("quoted_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("max_credits", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("fits_records", Integer, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("changed", JSONB, nullable=False),
    Column("records", Integer, nullable=False),
    Column("companies", Integer, nullable=False),
    Column("persons", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    # Records that had white space around an id.
    Column("trimmed", Integer, nullable=False, server_default=text("0")),
    # Records that a filter leaves out.
    Column("excluded", Integer, nullable=False, server_default=text("0")),
    # The priced records as a file; None once it was removed.
    Column("input", Text),
    Column("columns", ARRAY(Text), nullable=False),
    Column("slices", JSONB, nullable=False),
    # What its file was taken for, as of uploads; None where there was no file.
    Column("noticed", JSONB(none_as_null=True)),
    # The charges that its free claims stand on; None where none is free.
    Column("free_on", INT8MULTIRANGE),
    CheckConstraint("kind IN ('export', 'push')", name="kind"),
    one_of("email_level", EmailLevel),
    one_of("only_with", OnlyWith),
    CheckConstraint("max_credits >= 0", name="max_credits"),
    CheckConstraint("push IS NULL OR kind = 'push'", name="push"),
    Index("quotes_kept_idx", "quoted_at", postgresql_where=text("input IS NOT NULL")),
    Index("quotes_input_idx", "input"),
    Index(
        "quotes_free_on_idx",
        "license_id",
        "expires_at",
        postgresql_where=text("free_on IS NOT NULL"),
    ),
    Index(
        "quotes_connection_idx",
        text("(push ->> 'connection')"),
        postgresql_where=text("push IS NOT NULL"),
    ),
)
