"""The columns of each dataset and their types; `docs/finance.md` says what they mean.

A name and a type stay what they are; what is new comes behind what there is.
"""

from enum import StrEnum
from typing import NamedTuple

from storage.finance.warehouse.ledger_rows import Dataset


class Type(StrEnum):
    """What is in a column."""

    INTEGER = "integer"
    """64 bits, with a sign."""
    TEXT = "text"
    INSTANT = "instant"
    """In UTC, to the microsecond."""


class Column(NamedTuple):
    """A column: `is_optional` where a row may have nothing in it."""

    name: str
    type: Type
    is_optional: bool = False


_LICENSE = Column("license", Type.TEXT)
_PERIOD = Column("period", Type.INSTANT)
_CREDITS = Column("credits", Type.INTEGER)
_JOB = Column("job", Type.TEXT, is_optional=True)
_TRANSACTION = Column("transaction", Type.INTEGER)

SCHEMA: dict[Dataset, tuple[Column, ...]] = {
    Dataset.TRANSFERS: (
        Column("id", Type.INTEGER),
        _LICENSE,
        _PERIOD,
        Column("kind", Type.TEXT),
        Column("from_account", Type.TEXT),
        Column("to_account", Type.TEXT),
        _CREDITS,
        Column("reservation", Type.INTEGER, is_optional=True),
        _JOB,
        Column("reference", Type.TEXT, is_optional=True),
        Column("created_at", Type.INSTANT),
        _TRANSACTION,
    ),
    Dataset.CHARGES: (
        Column("id", Type.INTEGER),
        _LICENSE,
        _PERIOD,
        _JOB,
        Column("view", Type.TEXT, is_optional=True),
        Column("user", Type.TEXT),
        Column("item", Type.TEXT),
        Column("subject", Type.TEXT),
        _CREDITS,
        Column("rule", Type.TEXT),
        Column("paid_by", Type.INTEGER, is_optional=True),
        Column("provider", Type.TEXT, is_optional=True),
        Column("charged_at", Type.INSTANT),
        _TRANSACTION,
    ),
    Dataset.REFUNDS: (
        Column("charge", Type.INTEGER),
        _LICENSE,
        _PERIOD,
        _JOB,
        _CREDITS,
        Column("reason", Type.TEXT, is_optional=True),
        Column("refunded_at", Type.INSTANT),
        _TRANSACTION,
    ),
    Dataset.STATEMENTS: (
        _LICENSE,
        _PERIOD,
        Column("run", Type.INTEGER),
        Column("since", Type.INTEGER),
        Column("until", Type.INTEGER),
        Column("available", Type.INTEGER),
        Column("reserved", Type.INTEGER),
        Column("spent", Type.INTEGER),
        Column("expired", Type.INTEGER),
        Column("head", Type.TEXT, is_optional=True),
        Column("document", Type.TEXT),
        Column("frozen_at", Type.INSTANT),
    ),
}
