"""Bulk API 2.0: many rows as one CSV, worked off by Salesforce in its own time.

The job's id need not be kept: what is upserted again by the same key is there once.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from worker.connectors import Content, Kind, Result, Row, Written
from worker.connectors.errors import Misconfigured, Unavailable
from worker.connectors.salesforce_api import KEY, TYPES, SalesforceApi
from worker.connectors.salesforce_writing import (
    Told,
    Wait,
    is_passing,
    settled,
    values_of,
    with_link,
    without_doubles,
)

_POLLS_MAX = 1_000
_POLL_S, _POLL_MAX_S = 0.1, 2.0
_GROWTH = 1.5
_UNKNOWN = ("InvalidBatch", "Field name not found")
_BLANK = "#N/A"
"""What clears a field; an empty cell leaves it alone."""
_ERROR = re.compile(
    r"(?P<code>[A-Z_]+):(?P<message>.*?)(?::(?P<fields>[\w, ]*))? --$", re.DOTALL
)


def write(
    api: SalesforceApi, kind: Kind, rows: Sequence[Row], wait: Wait
) -> dict[str, Result]:
    """Write many rows; each to its end."""
    once, twice = without_doubles(rows)
    fresh = [row for row in once if row.their_id is None]
    known = [row for row in once if row.their_id is not None]
    results: dict[str, Result] = dict(twice)
    for some, operation in ((fresh, "upsert"), (known, "update")):
        if some:
            send = partial(_ingest, api, kind, operation, wait)
            results |= settled(some, send, wait)
    return results


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
    job = api.send("POST", "/jobs/ingest", wanted)
    path = f"/jobs/ingest/{job['id']}"
    api.send("PUT", f"{path}/batches", Content("text/csv", _csv(rows)))
    api.send("PATCH", path, {"state": "UploadComplete"})
    _await(api, path, wait)
    return _results(api, kind, path)


def _csv(rows: Sequence[Row]) -> bytes:
    """The rows with all their columns; a cell that a row has not is left alone."""
    names = list(dict.fromkeys(name for row in rows for name in values_of(row)))
    if rows[0].their_id is not None:
        names = ["Id", *names]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = {name: value or _BLANK for name, value in values_of(row).items()}
        if row.their_id is not None:
            cells["Id"] = row.their_id
        writer.writerow(cells)
    return text.getvalue().encode()


def _await(api: SalesforceApi, path: str, wait: Wait) -> None:
    """Wait until a job has come to its end. Raises `Unavailable` where it does not."""
    pause_s = _POLL_S
    for _ in range(_POLLS_MAX):
        job = api.send("GET", path)
        state, words = job.get("state"), str(job.get("errorMessage") or "")
        if state == "Failed" and any(one in words for one in _UNKNOWN):
            raise Misconfigured("unknown_field", f"Salesforce: {words}")
        if state in {"JobComplete", "Failed", "Aborted"}:
            # What it has written stands in its results; the rest is asked again.
            return
        wait(pause_s)
        pause_s = min(pause_s * _GROWTH, _POLL_MAX_S)
    raise Unavailable("Salesforce does not come to an end with a job")


def _results(api: SalesforceApi, kind: Kind, path: str) -> Told:
    results: dict[str, Result] = {}
    locked: set[str] = set()
    for line in _lines(api, f"{path}/successfulResults"):
        their_id = line["sf__Id"]
        results[line[KEY]] = Written(
            their_id=their_id,
            created=line.get("sf__Created", "").lower() == "true",
            link=api.link(kind, their_id),
        )
    for line in _lines(api, f"{path}/failedResults"):
        errors = [_error(line.get("sf__Error", ""))]
        if is_passing(errors):
            locked.add(line[KEY])
        else:
            results[line[KEY]] = with_link(api, kind, errors)
    locked |= {line[KEY] for line in _lines(api, f"{path}/unprocessedrecords")}
    return Told(results, frozenset(locked))


def _error(words: str) -> Mapping[str, object]:
    """An error as the other API has it: `CODE:message:fields --`."""
    told = _ERROR.match(words)
    if told is None:
        return {"statusCode": words.partition(":")[0], "message": words}
    fields = [one.strip() for one in (told["fields"] or "").split(",") if one.strip()]
    return {"statusCode": told["code"], "message": told["message"], "fields": fields}


def _lines(api: SalesforceApi, path: str) -> Iterator[dict[str, str]]:
    """A result file, page by page."""
    locator = ""
    while True:
        query = f"?locator={locator}" if locator else ""
        reply = api.reply("GET", f"{api.data}{path}{query}")
        yield from csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig")))
        locator = reply.headers.get("sforce-locator", "null")
        if locator in {"", "null"}:
            return
