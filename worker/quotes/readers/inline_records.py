"""Records that came in a request's body: the shapes of JSON Lines."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from worker.infrastructure.errors import Code, Refused
from worker.quotes.readers.json_objects import BATCH_ROWS, Batch, table_of
from worker.quotes.readers.mapped_records import records_in
from worker.quotes.readers.reader import Reading

RECORDS_MAX = 10_000
"""More than this are uploaded first."""


def written_records(body: bytes) -> list[Any] | None:
    """A body's records with numbers as the texts that were written; None without any.

    Of what is no JSON, or lacks its list, is told where a body is looked at as a whole.
    """
    try:
        parsed = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    records = parsed.get("records") if isinstance(parsed, dict) else None
    return records if isinstance(records, list) else None


def read(records: Sequence[object]) -> Reading:
    """Read a list; its places count from 1, as record numbers and as lines.

    Raises `Refused` where the list is too long for a body.
    """
    if len(records) > RECORDS_MAX:
        raise Refused(
            Code.TOO_LARGE,
            f"{len(records)} records are too many for one request; upload more than "
            f"{RECORDS_MAX}",
        )
    return records_in(table_of(_batches(records), kind="json"))


def _batches(records: Sequence[object]) -> Iterator[Batch]:
    for first in range(0, len(records), BATCH_ROWS):
        values = records[first : first + BATCH_ROWS]
        places = range(first + 1, first + 1 + len(values))
        yield Batch(places, places, values)
