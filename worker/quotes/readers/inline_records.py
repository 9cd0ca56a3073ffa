"""Records that came in a request's body, already parsed: the shapes of JSON Lines."""

from collections.abc import Sequence

from worker.infrastructure.errors import Code, Refused
from worker.quotes.readers.column_mapping import USUAL, ColumnMapping
from worker.quotes.readers.json_objects import table_of
from worker.quotes.readers.mapped_records import records_in
from worker.quotes.readers.reader import Reading

RECORDS_MAX = 10_000
"""More than this are uploaded first."""


def read(records: Sequence[object], mapping: ColumnMapping = USUAL) -> Reading:
    """Read a list; its places count from 1, as record numbers and as lines.

    Raises `Refused` where the list is too long for a body.
    """
    if len(records) > RECORDS_MAX:
        raise Refused(
            Code.TOO_LARGE,
            f"{len(records)} records are too many for one request; upload more than "
            f"{RECORDS_MAX}",
        )
    places = range(1, len(records) + 1)
    values = zip(places, places, records, strict=True)
    return records_in(table_of(values, kind="json"), mapping)
