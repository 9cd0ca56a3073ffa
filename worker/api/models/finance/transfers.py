"""Transfers, and how rows of money can be had."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel


class RowFormat(StrEnum):
    """Pages of JSON, or a file."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class Transfer(BaseModel):
    """Credits that moved from one account of a period to another."""

    id: int
    license: str
    period: datetime
    """The `starts_at` of the period."""
    kind: Literal[
        "grant", "reserve", "settle", "view", "release", "expire", "reopen", "refund"
    ]
    from_account: str
    to_account: str
    credits: int
    job: str | None
    reference: str | None
    created_at: datetime
