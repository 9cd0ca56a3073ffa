"""Writing accounts and contacts, each row to its end.

Few rows go by collections, 200 a call, many by an ingest job. Either way a row that was
locked by somebody else is asked again, and so is one that an answer leaves out. Rows
that hit a limit of one transaction, with all that the org's own triggers and flows do,
are sent again by halves: alone if need be, and then later.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from worker.connections.connectors.bisection import Poisoned, bisected
from worker.connections.connectors.connector import Kind, Rejected, Result, Row, Written
from worker.connections.connectors.errors import Unavailable
from worker.connections.connectors.salesforce.api import (
    TYPES,
    Record,
    Refused,
    SalesforceApi,
)
from worker.connections.connectors.salesforce.row_errors import (
    check_shared,
    is_crowded,
    is_odd,
    is_passing,
    is_taken,
    rejected_of,
)
from worker.connections.connectors.salesforce.rows import KEY, Parted, values_of

CALL_MAX = 200
"""Rows that one call of collections takes."""

_PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0)

LATER = "later"
"""The code of a row that somebody else stood in the way of: it is asked again."""
CROWDED = "crowded"
"""The code of a row that hit a limit, with others or alone: fewer go at once."""
_SILENT, _TAKEN, _ODD = "silent", "taken", "odd"
_CONFLICT, _INVALID = "conflict", "invalid_value"

Wait = Callable[[float], None]


class Told(NamedTuple):
    """What an answer tells of rows: their ends, and why others may go in later."""

    results: Mapping[str, Result]
    later: Mapping[str, Rejected]


Once = Callable[[Sequence[Row]], Told]


def write(
    api: SalesforceApi, kind: Kind, parted: Parted, wait: Wait
) -> dict[str, Result]:
    """Upsert by our key what has no id of theirs, update the others by that id."""
    results: dict[str, Result] = {}
    for some, send in ((parted.fresh, _upsert), (parted.known, _update)):
        for start in range(0, len(some), CALL_MAX):
            batch = some[start : start + CALL_MAX]
            results |= settled(batch, partial(send, api, kind), wait)
    return results


def settled(rows: Sequence[Row], once: Once, wait: Wait) -> dict[str, Result]:
    """What became of each row, by our id. Raises `Unavailable` where none is told."""
    results: dict[str, Result] = {}
    left = list(rows)
    silent: set[str] = set()
    told: dict[str, Result] = {}
    for pause_s in _PAUSES_S:
        if pause_s:
            wait(pause_s)
        told = _fewer_at_once(left, once)
        results |= {
            our_id: _seen(result, our_id in silent)
            for our_id, result in told.items()
            if not _is_open(result)
        }
        silent |= {our_id for our_id, one in told.items() if _is_open(one, _SILENT)}
        left = [row for row in left if row.id not in results]
        if not left:
            return results
    results |= _given_up([told[row.id] for row in left], left, results)
    if len(results) == len(rows):
        return results
    why = next((one for one in told.values() if _is_open(one, CROWDED)), None)
    words = f"Salesforce does not write {len(left)} rows of {len(rows)}"
    if isinstance(why, Rejected):
        raise Unavailable(f"{words}: {why.message}", parks_as="limit_exceeded")
    raise Unavailable(words)


def _fewer_at_once(rows: Sequence[Row], once: Once) -> dict[str, Result]:
    """What is told of each row, of those that hit a limit when they are fewer."""
    told = bisected(rows, partial(_told, once))
    crowded = [row for row in rows if _is_open(told[row.id], CROWDED)]
    if len(rows) > 1 and crowded:
        middle = (len(crowded) + 1) // 2
        told |= _fewer_at_once(crowded[:middle], once)
        told |= _fewer_at_once(crowded[middle:], once)
    return told


def _given_up(
    why: Sequence[Result], left: Sequence[Row], results: Mapping[str, Result]
) -> dict[str, Result]:
    """Of what is still open, the rows that are at fault themselves.

    What keeps holding our key is a record that this user cannot see; what keeps going
    wrong inside Salesforce, while others go in, is a trigger that fails at that row.
    """
    works = any(isinstance(one, Written) for one in results.values())
    ends = {_TAKEN: _CONFLICT, **({_ODD: _INVALID} if works else {})}
    return {
        row.id: one._replace(code=ends[one.code])
        for row, one in zip(left, why, strict=True)
        if isinstance(one, Rejected) and one.code in ends
    }


def _is_open(result: Result, *codes: str) -> bool:
    """Whether a row has to be asked again."""
    open_ = codes or (LATER, CROWDED, _SILENT, _TAKEN, _ODD)
    return isinstance(result, Rejected) and result.code in open_


def _seen(result: Result, was_silent: bool) -> Result:
    """What is there after a silence we have created, for all that is known."""
    if was_silent and isinstance(result, Written):
        return result._replace(created=True)
    return result


def _told(once: Once, rows: Sequence[Row]) -> dict[str, Result]:
    """One call. Raises `Poisoned` where it was refused as a whole."""
    try:
        told = once(rows)
    except Refused as refused:
        why = rejected_of(refused.errors)
        if is_crowded(refused.errors) or is_passing(refused.errors):
            code = CROWDED if is_crowded(refused.errors) else LATER
            return dict.fromkeys((row.id for row in rows), why._replace(code=code))
        raise Poisoned(why) from refused
    silent = {row.id: Rejected(code=_SILENT, message="again") for row in rows}
    return {**silent, **told.later, **told.results}


def _upsert(api: SalesforceApi, kind: Kind, rows: Sequence[Row]) -> Told:
    path = f"/composite/sobjects/{TYPES[kind].name}/{KEY}"
    return _send(api, kind, path, rows, upserts=True)


def _update(api: SalesforceApi, kind: Kind, rows: Sequence[Row]) -> Told:
    return _send(api, kind, "/composite/sobjects", rows, upserts=False)


def _send(
    api: SalesforceApi, kind: Kind, path: str, rows: Sequence[Row], *, upserts: bool
) -> Told:
    """One call; results come in the order of the rows."""
    records = [_record(kind, row) for row in rows]
    answer = api.send("PATCH", path, {"allOrNone": False, "records": records})
    if not isinstance(answer, list):
        raise Unavailable("Salesforce answered without a list")
    written: dict[str, Result] = {}
    refused: dict[str, Sequence[Record]] = {}
    # A shorter answer does not say whom it leaves out.
    pairs = zip(rows, answer, strict=True) if len(answer) == len(rows) else ()
    for row, told in pairs:
        if told.get("success"):
            their_id = str(told["id"])
            written[row.id] = Written(
                their_id=their_id,
                created=told.get("created") is True,
                link=api.link(kind, their_id),
            )
        else:
            refused[row.id] = told.get("errors") or []
    return told_of(api, kind, written, refused, upserts=upserts)


def _record(kind: Kind, row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": TYPES[kind].name}}
    if row.their_id is not None:
        record["id"] = row.their_id
    return record | {name: value or None for name, value in values_of(row).items()}


def told_of(
    api: SalesforceApi,
    kind: Kind,
    written: Mapping[str, Result],
    refused: Mapping[str, Sequence[Record]],
    *,
    upserts: bool,
) -> Told:
    """What follows of an answer's rows, by our ids.

    Raises `Misconfigured` where none of them could be written.
    """
    check_shared(refused, len(written) + len(refused))
    results = dict(written)
    later: dict[str, Rejected] = {}
    for our_id, errors in refused.items():
        why = _with_link(api, kind, errors)
        if upserts and is_taken(errors):
            later[our_id] = why._replace(code=_TAKEN)
        elif is_crowded(errors):
            later[our_id] = why._replace(code=CROWDED)
        elif is_passing(errors):
            later[our_id] = why._replace(code=_ODD if is_odd(errors) else LATER)
        else:
            results[our_id] = why
    return Told(results, later)


def _with_link(api: SalesforceApi, kind: Kind, errors: Sequence[Record]) -> Rejected:
    """Why a row was rejected, with a link to what it is a duplicate of."""
    rejected = rejected_of(errors)
    found = (errors[0] if errors else {}).get("duplicateResult") or {}
    for result in found.get("matchResults") or ():
        for match in result.get("matchRecords") or ():
            their_id = (match.get("record") or {}).get("Id")
            if their_id:
                return rejected._replace(link=api.link(kind, str(their_id)))
    return rejected
