"""Bulk API 2.0: many rows as one CSV, worked off by Salesforce in its own time.

The job's id need not be kept: what is upserted again by the same key is there once. A
job that is given up is aborted; one whose worker has been killed goes on, and writes
the same rows by the same keys as the one that follows it.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from worker.connections.connectors.connector import (
    Content,
    Kind,
    Rejected,
    Result,
    Row,
    Written,
)
from worker.connections.connectors.errors import (
    ConnectorError,
    Misconfigured,
    Throttled,
    Unavailable,
)
from worker.connections.connectors.record_keys import by_key
from worker.connections.connectors.salesforce.api import (
    TYPES,
    Record,
    Refused,
    SalesforceApi,
)
from worker.connections.connectors.salesforce.record_writes import (
    LATER,
    Told,
    Wait,
    settled,
    told_of,
)
from worker.connections.connectors.salesforce.record_writes import (
    write as write_by_calls,
)
from worker.connections.connectors.salesforce.row_errors import (
    DUPLICATES,
    code_of,
    is_crowded,
)
from worker.connections.connectors.salesforce.rows import KEY, Parted, values_of

_WAITED_MAX_S = 3_600.0
"""So long a job may take; then it is aborted, and the same is sent again later."""
_POLL_S, _POLL_MAX_S = 0.1, 10.0
_GROWTH = 1.5
"""Each look costs one of the day's calls."""
_UNANSWERED_MAX = 3
_ABORTED_S = 60.0
_UNKNOWN = "Field name not found"
_PASSING = {"INVALIDJOBSTATE", "TIMEOUT"}
_BLANK = "#N/A"
"""What clears a field; an empty cell leaves it alone."""
_ERROR = re.compile(
    r"(?P<code>[A-Z_]+):(?P<message>.*?)(?::(?P<fields>[\w, ]*?) ?--)?$", re.DOTALL
)
_BY_CALLS = Rejected(code="by_calls", message="")
_UNPROCESSED = Rejected(code=LATER, message="not processed")


def write(
    api: SalesforceApi, kind: Kind, parted: Parted, wait: Wait
) -> dict[str, Result]:
    """Write many rows; each to its end.

    What a job does not take to its end goes by calls: all of one that has failed, what
    hit a limit of one transaction, for a job's batches are Salesforce's own, and what a
    duplicate rule has refused, for jobs have neither the header that lifts the rule nor
    a link to the other record.
    """
    results: dict[str, Result] = {}
    left: set[str] = set()
    for rows, operation in ((parted.fresh, "upsert"), (parted.known, "update")):
        some = [row for row in rows if _is_sayable(row)]
        left |= {row.id for row in rows if not _is_sayable(row)}
        if some:
            send = partial(_ingest, api, kind, operation, wait)
            results |= settled(some, send, wait)
    left |= {our_id for our_id, one in results.items() if one is _BY_CALLS}
    return results | write_by_calls(api, kind, parted.among(left), wait)


def _ingest(
    api: SalesforceApi, kind: Kind, operation: str, wait: Wait, rows: Sequence[Row]
) -> Told:
    """One ingest job, from its beginning to its results."""
    wanted = {
        "object": TYPES[kind].name,
        "operation": operation,
        "contentType": "CSV",
        "lineEnding": "LF",
    }
    if operation == "upsert":
        wanted["externalIdFieldName"] = KEY
    job_id = _asked(api, "POST", "/jobs/ingest", wanted).get("id")
    if not job_id:
        raise Unavailable("Salesforce does not say which job it has opened")
    path = f"/jobs/ingest/{job_id}"
    try:
        _asked(api, "PUT", f"{path}/batches", Content("text/csv", _csv(rows)))
        _asked(api, "PATCH", path, {"state": "UploadComplete"})
        has_failed = _await(api, path, wait)
        ours = by_key(row.id for row in rows)
        told = _results(api, kind, path, ours, upserts=operation == "upsert")
    except BaseException:
        # Whoever gives up, or has lost the chunk, leaves nobody writing behind.
        with suppress(ConnectorError, Refused):
            api.send("PATCH", path, {"state": "Aborted"}, undoes=True)
        raise
    if has_failed:
        rest = {row.id: _BY_CALLS for row in rows if row.id not in told.results}
        return Told({**told.results, **rest}, {})
    return told


def _asked(
    api: SalesforceApi, method: str, path: str, body: object = None
) -> Mapping[str, Any]:
    """Ask something of a job: what is refused here says nothing of any row."""
    try:
        told = api.send(method, path, body)
    except Refused as refused:
        code = code_of(refused.errors[0]).replace("_", "").upper()
        if code in _PASSING:
            raise Unavailable(f"Salesforce: {refused}") from refused
        raise Misconfigured(
            "forbidden", f"Salesforce takes no ingest job: {refused}"
        ) from refused
    return told if isinstance(told, dict) else {}


def _csv(rows: Sequence[Row]) -> bytes:
    """The rows with all their columns; a cell that a row has not is left alone.

    Every text is quoted: readers differ in what ends a line for them.
    """
    names = list(dict.fromkeys(name for row in rows for name in values_of(row)))
    if rows[0].their_id is not None:
        names = ["Id", *names]
    lines = [",".join(names)]
    for row in rows:
        cells = {
            name: _quoted(value) if value else _BLANK
            for name, value in values_of(row).items()
        }
        if row.their_id is not None:
            cells["Id"] = row.their_id
        lines.append(",".join(cells.get(name, "") for name in names))
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(value: str) -> str:
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _is_sayable(row: Row) -> bool:
    """Whether a job can write a row: `#N/A` clears a field, and nothing escapes it."""
    return all(value.strip() != _BLANK for value in values_of(row).values())


def _await(api: SalesforceApi, path: str, wait: Wait) -> bool:
    """Wait until a job has come to its end; whether it has failed.

    Raises `Unavailable` where it comes to none, or somebody has aborted it.
    """
    pause_s, unanswered, waited_s = _POLL_S, 0, 0.0
    while waited_s < _WAITED_MAX_S:
        try:
            job = _asked(api, "GET", path)
            unanswered = 0
        except Throttled as throttled:
            # The job goes on meanwhile.
            if throttled.daily:
                raise
            wait(throttled.until_s)
            waited_s += max(throttled.until_s, _POLL_S)
            continue
        except Unavailable:
            unanswered += 1
            if unanswered > _UNANSWERED_MAX:
                raise
            job = {}
        state, words = job.get("state"), str(job.get("errorMessage") or "")
        if state == "Aborted":
            message = "somebody has aborted the ingest job in Salesforce"
            raise Unavailable(message, until_s=_ABORTED_S)
        if state == "Failed" and _UNKNOWN in words:
            raise Misconfigured("unknown_field", f"Salesforce: {words}")
        if state in {"JobComplete", "Failed"}:
            return bool(state == "Failed")
        wait(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * _GROWTH, _POLL_MAX_S)
    raise Unavailable("Salesforce does not come to an end with a job")


def _results(
    api: SalesforceApi,
    kind: Kind,
    path: str,
    ours: Mapping[str, str],
    *,
    upserts: bool,
) -> Told:
    """What became of the rows; `ours` are our ids by their keys."""
    written: dict[str, Result] = {}
    refused: dict[str, Sequence[Record]] = {}
    for line in _lines(api, f"{path}/successfulResults"):
        their_id = line["sf__Id"]
        written[ours[line[KEY]]] = Written(
            their_id=their_id,
            created=line.get("sf__Created", "").lower() == "true",
            link=api.link(kind, their_id),
        )
    for line in _lines(api, f"{path}/failedResults"):
        error, our_id = _error(line.get("sf__Error", "")), ours[line[KEY]]
        if code_of(error) == DUPLICATES or is_crowded([error]):
            written[our_id] = _BY_CALLS
        else:
            refused[our_id] = [error]
    told = told_of(api, kind, written, refused, upserts=upserts)
    skipped = [ours[line[KEY]] for line in _lines(api, f"{path}/unprocessedrecords")]
    return Told(told.results, {**told.later, **dict.fromkeys(skipped, _UNPROCESSED)})


def _error(words: str) -> Record:
    """An error as the other API has it: `CODE:message:fields --`, or `…message:--`."""
    told = _ERROR.match(words)
    if told is None:
        return {"statusCode": words.partition(":")[0], "message": words}
    fields = [one.strip() for one in (told["fields"] or "").split(",") if one.strip()]
    return {"statusCode": told["code"], "message": told["message"], "fields": fields}


def _lines(api: SalesforceApi, path: str) -> Iterator[dict[str, str]]:
    """A result file, page by page."""
    locator = ""
    while True:
        reply = api.csv(f"{path}?locator={locator}" if locator else path)
        yield from _read(reply.content)
        locator = reply.headers.get("sforce-locator", "null")
        if locator in {"", "null"}:
            return


def _read(content: bytes) -> list[dict[str, str]]:
    """The lines of a result file. Raises `Unavailable` where it is none."""
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        lines = list(reader)
    except csv.Error as error:
        raise Unavailable(f"Salesforce answered with no results: {error}") from error
    is_known = not reader.fieldnames or {KEY, "sf__Id"} & {*reader.fieldnames}
    if not is_known or any(None in line or None in line.values() for line in lines):
        raise Unavailable("Salesforce answered without a file of results")
    return lines
