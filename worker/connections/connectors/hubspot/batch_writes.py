"""Batches of HubSpot's, each row to its end, whatever an answer leaves out.

HubSpot takes a batch as a whole or not at all, or in part, with errors that may or may
not say whom they concern. Sometimes it answers for fewer rows than it was given, and
says nothing of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from worker.connections.connectors.bisection import Poisoned, bisected
from worker.connections.connectors.connector import Rejected, Result, Row, Written
from worker.connections.connectors.errors import Misconfigured, Unavailable
from worker.connections.connectors.hubspot.api import Refused
from worker.connections.connectors.hubspot.errors import NOT_FOUND, refusal_of

_TRIES = 3
_NOT_FOUND = 404


class Told(NamedTuple):
    """What an answer tells of rows; `unclear` is a no that does not say to whom."""

    results: Mapping[str, Result]
    unclear: Rejected | None = None


Once = Callable[[Sequence[Row]], Told]
"""Sends rows in one request. Raises `Refused` where none of them was taken."""


def settled(rows: Sequence[Row], once: Once) -> dict[str, Result]:
    """What became of each row, by our id.

    Raises `Unavailable` where HubSpot keeps silent of some; asking again is safe.
    """
    return bisected(rows, partial(_send, once))


def _send(once: Once, rows: Sequence[Row]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    left = list(rows)
    for attempt in range(_TRIES):
        try:
            told = once(left)
        except Refused as refused:
            told = Told({}, _refusal(refused))
        results |= told.results if attempt == 0 else _by_us(told.results, left)
        left = [row for row in left if row.id not in results]
        if not left:
            return results
        if told.unclear is not None:
            return results | _halved(once, rows, left, told.unclear)
    raise Unavailable(f"HubSpot says nothing of {len(left)} rows of {len(rows)}")


def _by_us(results: Mapping[str, Result], rows: Sequence[Row]) -> dict[str, Result]:
    """Results of rows that are asked again: what is there by now, we have created."""
    fresh = {row.id for row in rows if row.their_id is None}
    return {
        our_id: result._replace(created=True)
        if isinstance(result, Written) and our_id in fresh
        else result
        for our_id, result in results.items()
    }


def _refusal(refused: Refused) -> Rejected:
    rejected = refusal_of(refused.error).rejected
    if refused.status == _NOT_FOUND and rejected.code != NOT_FOUND:
        # Not a record but what we asked is not there: the URL, or its version.
        raise Misconfigured("not_found", str(refused)) from refused
    return rejected


def _halved(
    once: Once, rows: Sequence[Row], left: Sequence[Row], unclear: Rejected
) -> dict[str, Result]:
    """Of those that are left at least one is meant: whoever stands alone with it."""
    if len(left) == len(rows):
        raise Poisoned(unclear)
    return settled(left, once)
