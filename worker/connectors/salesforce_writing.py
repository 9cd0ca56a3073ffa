"""Writing accounts and contacts, each row to its end.

Few rows go by collections, 200 a call, many by an ingest job. Either way a row that was
locked by somebody else is asked again, and so is one that an answer leaves out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from worker.connectors import Kind, Rejected, Result, Row, Written
from worker.connectors.bisecting import Poisoned, bisected
from worker.connectors.errors import Misconfigured, Unavailable
from worker.connectors.salesforce_api import (
    KEY,
    TYPES,
    Record,
    Refused,
    SalesforceApi,
    rejected_of,
)

CALL_MAX = 200
"""Rows that one call of collections takes."""

_PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0)
_PASSING = {
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "REQUEST_RUNNING_TOO_LONG",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
}
_UNKNOWN = {"INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"}

Wait = Callable[[float], None]


class Told(NamedTuple):
    """What an answer tells of rows; of `locked` ones nothing was done."""

    results: Mapping[str, Result]
    locked: frozenset[str] = frozenset()


Once = Callable[[Sequence[Row]], Told]


def write(
    api: SalesforceApi, kind: Kind, rows: Sequence[Row], wait: Wait
) -> dict[str, Result]:
    """Upsert by our key what has no id of theirs, update the others by that id."""
    once, twice = without_doubles(rows)
    # One account's contacts beside each other lock it once.
    ordered = sorted(once, key=lambda row: row.company_their_id or "")
    fresh = [row for row in ordered if row.their_id is None]
    known = [row for row in ordered if row.their_id is not None]
    results: dict[str, Result] = dict(twice)
    for some, send in ((fresh, _upsert), (known, _update)):
        for start in range(0, len(some), CALL_MAX):
            batch = some[start : start + CALL_MAX]
            results |= settled(batch, partial(send, api, kind), wait)
    return results


def settled(rows: Sequence[Row], once: Once, wait: Wait) -> dict[str, Result]:
    """What became of each row, by our id. Raises `Unavailable` where none is told."""
    results: dict[str, Result] = {}
    left = list(rows)
    silent: set[str] = set()
    for pause_s in _PAUSES_S:
        if pause_s:
            wait(pause_s)
        told = bisected(left, partial(_told, once))
        results |= {
            our_id: _seen(result, our_id in silent)
            for our_id, result in told.items()
            if not _is_open(result)
        }
        silent |= {our_id for our_id, one in told.items() if _is_open(one, _SILENT)}
        left = [row for row in left if row.id not in results]
        if not left:
            return results
    raise Unavailable(f"Salesforce does not write {len(left)} rows of {len(rows)}")


_LOCKED, _SILENT = "locked", "silent"


def _is_open(result: Result, *codes: str) -> bool:
    """Whether a row has to be asked again."""
    return isinstance(result, Rejected) and result.code in (codes or (_LOCKED, _SILENT))


def _seen(result: Result, was_silent: bool) -> Result:
    """What is there after a silence we have created, for all that is known."""
    if was_silent and isinstance(result, Written):
        return replace(result, created=True)
    return result


def _told(once: Once, rows: Sequence[Row]) -> dict[str, Result]:
    """One call. Raises `Poisoned` where it was refused as a whole."""
    try:
        told = once(rows)
    except Refused as refused:
        raise Poisoned(refused.rejected) from refused
    unsaid = {
        row.id: Rejected(
            code=_LOCKED if row.id in told.locked else _SILENT, message="again"
        )
        for row in rows
    }
    return {**unsaid, **told.results}


def without_doubles(rows: Sequence[Row]) -> tuple[list[Row], dict[str, Result]]:
    """One row a record: two of ours are never one of theirs."""
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
    return once, twice


def values_of(row: Row) -> dict[str, str]:
    """The fields of a row, with our key and its company."""
    values = {**row.fields, KEY: row.id}
    if row.company_their_id is not None:
        values["AccountId"] = row.company_their_id
    return values


def _upsert(api: SalesforceApi, kind: Kind, rows: Sequence[Row]) -> Told:
    path = f"/composite/sobjects/{TYPES[kind].name}/{KEY}"
    return _send(api, kind, path, rows)


def _update(api: SalesforceApi, kind: Kind, rows: Sequence[Row]) -> Told:
    return _send(api, kind, "/composite/sobjects", rows)


def _send(api: SalesforceApi, kind: Kind, path: str, rows: Sequence[Row]) -> Told:
    """One call; results come in the order of the rows."""
    records = [_record(kind, row) for row in rows]
    answer = api.send("PATCH", path, {"allOrNone": False, "records": records})
    if not isinstance(answer, list):
        raise Unavailable("Salesforce answered without a list")
    results: dict[str, Result] = {}
    locked: set[str] = set()
    # A shorter answer does not say whom it leaves out.
    pairs = zip(rows, answer, strict=True) if len(answer) == len(rows) else ()
    for row, told in pairs:
        errors = told.get("errors") or []
        if told.get("success"):
            their_id = str(told["id"])
            results[row.id] = Written(
                their_id=their_id,
                created=told.get("created") is True,
                link=api.link(kind, their_id),
            )
        elif is_passing(errors):
            locked.add(row.id)
        else:
            results[row.id] = with_link(api, kind, errors)
    return Told(results, frozenset(locked))


def _record(kind: Kind, row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": TYPES[kind].name}}
    if row.their_id is not None:
        record["id"] = row.their_id
    return record | {name: value or None for name, value in values_of(row).items()}


def is_passing(errors: Sequence[Record]) -> bool:
    """Whether a row was not written for somebody else's sake.

    Raises `Misconfigured` where no row can be written by this mapping.
    """
    codes = {str(error.get("statusCode")) for error in errors}
    if codes & _UNKNOWN:
        raise Misconfigured("unknown_field", f"Salesforce: {errors[0].get('message')}")
    return bool(codes & _PASSING)


def with_link(api: SalesforceApi, kind: Kind, errors: Sequence[Record]) -> Rejected:
    """Why a row was rejected, with a link to what it is a duplicate of."""
    rejected = rejected_of(errors)
    found = (errors[0] if errors else {}).get("duplicateResult") or {}
    for result in found.get("matchResults") or ():
        for match in result.get("matchRecords") or ():
            their_id = (match.get("record") or {}).get("Id")
            if their_id:
                return replace(rejected, link=api.link(kind, str(their_id)))
    return rejected
