"""Records that came in a request's body, already parsed: the shapes of JSON Lines."""

from collections.abc import Sequence

from worker.infrastructure.errors import Code, Refused
from worker.quotes.readers.json_objects import Objects
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import blocks_of

RECORDS_MAX = 10_000
"""More than this are uploaded first."""


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
    objects = Objects()
    rows = (
        (number, objects.row(number, number, record))
        for number, record in enumerate(records, start=1)
    )
    return Reading(objects.columns, blocks_of(rows))
