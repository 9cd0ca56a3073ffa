"""Checked records as they are kept: without duplicates, and with what recurs.

They are a line for some thousand: two JSON objects with a tab between them. The first
has `numbers`, `companies`, `persons` (null for the company alone) and, where it is not
empty, `recurring`: the ids of `companies` and `persons` that other lines may name too.
The second has all other fields by their columns, which a quote passes on unread. Lines
of before have `owns`, too: what each person is looked up by.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from pricing.quote import Recurring
from worker.quotes.readers.record_columns import Records, with_more

NOTHING_RECURS = Recurring(frozenset(), frozenset())


class KeptRecords(NamedTuple):
    """Some records, and the ids among them that may come again."""

    records: Records
    recurring: Recurring = NOTHING_RECURS


class UploadedFile(NamedTuple):
    """An upload, and the file of its records that is read."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An upload being read: its columns, and its records without their duplicates.

    `duplicates` are those that were left out, `trimmed` counts the records that had
    white space around an id; `noticed` is what its file was taken for. A quote of it
    settles how the columns of `upload` are mapped.
    """

    columns: Sequence[str]
    blocks: Iterator[KeptRecords]
    duplicates: int
    trimmed: int
    noticed: Mapping[str, Any] | None = None
    upload: UploadedFile | None = None


def to_line(kept: KeptRecords) -> bytes:
    """Some records as a line."""
    records, recurring = kept
    ids = records.ids_encoded
    if any(recurring):
        again = {
            "companies": sorted(recurring.companies),
            "persons": sorted(recurring.persons),
        }
        ids = with_more(ids, "recurring", again)
    return b"%b\t%b\n" % (ids, records.others_encoded)


def from_line(line: bytes) -> KeptRecords:
    """The records that a line holds."""
    first, _, second = line.rstrip(b"\n").partition(b"\t")
    head = orjson.loads(first)
    recurring = head.get("recurring")
    records = Records(
        head["numbers"],
        head["companies"],
        head["persons"],
        second,
        ids_encoded=first if recurring is None else None,
    )
    if recurring is None:
        return KeptRecords(records)
    companies, persons = recurring["companies"], recurring["persons"]
    return KeptRecords(records, Recurring(frozenset(companies), frozenset(persons)))
