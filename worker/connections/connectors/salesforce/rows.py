"""Rows as Salesforce is to have them, in the order in which they go."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from worker.connections.connectors.connector import Rejected, Result, Row
from worker.connections.connectors.record_keys import key_of

KEY = "Holdfast_Id__c"
"""The external id field that holds our key; an admin of the org makes it."""


class Parted(NamedTuple):
    """Rows to upsert by our key, to update by their id, and not to send at all."""

    fresh: Sequence[Row]
    known: Sequence[Row]
    twice: Mapping[str, Result]

    def among(self, ours: Collection[str]) -> "Parted":
        """Those of these ids."""
        fresh = [row for row in self.fresh if row.id in ours]
        return Parted(fresh, [row for row in self.known if row.id in ours], {})


def parted(rows: Sequence[Row]) -> Parted:
    """One row a record: two of ours are never one of theirs.

    One account's contacts are beside each other: it is locked once.
    """
    taken: dict[str, str] = {}
    once: list[Row] = []
    twice: dict[str, Result] = {}
    for row in rows:
        first = row.id
        if row.their_id is not None:
            first = taken.setdefault(row.their_id, row.id)
        if first == row.id:
            once.append(row)
        else:
            message = f"{first} is that record of Salesforce already"
            twice[row.id] = Rejected(code="duplicate", message=message)
    once.sort(key=lambda row: row.company_their_id or "")
    fresh = [row for row in once if row.their_id is None]
    known = [row for row in once if row.their_id is not None]
    return Parted(fresh, known, twice)


def values_of(row: Row) -> dict[str, str]:
    """The fields of a row, with our key and its company."""
    values = {**row.fields, KEY: key_of(row.id)}
    if row.company_their_id is not None:
        values["AccountId"] = row.company_their_id
    return values
