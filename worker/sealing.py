"""Sealing: the parts of a job become its file, and a manifest says what is in it.

No transaction is open meanwhile. Doing it again writes the same bytes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pricing.plans import Item
from storage.errors import InvariantBroken
from storage.exports import file_parts
from storage.files.artifacts import Artifacts, Draft, Written
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.jobs.jobs import Finishing, manifest_name
from storage.quotes import quotes
from storage.quotes.quotes import Request
from worker import parts
from worker.answers import instant
from worker.clock import Every
from worker.files import Export, Layout, export_of, file_name
from worker.wiring import Deps
from worker.writers import Target, Writer
from worker.writers.numbered import Member, open_numbered


def seal(deps: Deps, job: Finishing, renew: Callable[[], None]) -> Written:
    """Write a job's file and its manifest, calling `renew` each third of a lease."""
    told = _look_up(deps, job.id)
    export = export_of(job.export)
    layout = Layout(export, job.columns, [Item(item) for item in job.retrieve])
    lease = _Lease(deps.settings.lease_s, renew)
    name = f"jobs/{job.id}/{file_name(job.id, export)}"
    members: list[Member] = []
    with (
        deps.artifacts.create(name) as draft,
        _opened(_Moving(draft, lease), export, layout.headings, members) as writer,
    ):
        for part in told.parts:
            lease.keep()
            writer.add(parts.read(deps.artifacts, part))
        # XLSX is put together at the end: 6 s for a million rows, and nothing moves.
        renew()
    file = Written(name, draft.bytes, draft.sha256)
    _write_manifest(deps.artifacts, _manifest(told, export, layout, file, members))
    return file


class _Told(NamedTuple):
    """What the database says of the job."""

    parts: list[file_parts.Part]
    request: Request
    report: JobReport


def _look_up(deps: Deps, job_id: str) -> _Told:
    with deps.database.transaction() as connection:
        stored = quotes.of_job(connection, job_id)
        report = job_reports.job(connection, job_id)
        if stored is None or report is None:
            raise InvariantBroken(f"{job_id} has no quote or no reservation")
        return _Told(file_parts.of_job(connection, job_id), stored.request, report)


class _Lease:
    """Renewed each third of it, as long as something moves."""

    def __init__(self, lease_s: float, renew: Callable[[], None]) -> None:
        self._every = Every(lease_s / 3)
        self._renew = renew

    def keep(self) -> None:
        """Renew it where it is time to."""
        if self._every.due():
            self._renew()


class _Moving:
    """A draft; as bytes reach it the lease is kept."""

    def __init__(self, draft: Draft, lease: _Lease) -> None:
        self._draft = draft
        self._lease = lease

    def write(self, data: bytes, /) -> None:
        self._lease.keep()
        self._draft.write(data)


@contextmanager
def _opened(
    target: Target, export: Export, headings: Sequence[str], members: list[Member]
) -> Iterator[Writer]:
    """The file itself, or a ZIP of numbered files, which are then `members`."""
    if export.split_records is None:
        with export.format.open(target, headings) as writer:
            yield writer
        return
    with open_numbered(
        target, headings, export.format, export.split_records
    ) as numbered:
        yield numbered
    members += numbered.members


def _manifest(
    told: _Told, export: Export, layout: Layout, file: Written, members: list[Member]
) -> dict[str, Any]:
    """What is in the file, for whom, and at what price; the same each time."""
    request, report = told.request, told.report
    chosen = request.export or {}
    ended = report.delivered + report.excluded + report.rejected
    return {
        "job": report.id,
        "name": report.name,
        "license": report.license_id,
        "user": report.user_id,
        "created_at": instant(report.created_at),
        "records": {
            "all": report.records,
            "delivered": report.delivered,
            "excluded": report.excluded,
            "rejected": report.rejected,
            "unreached": report.records - ended,
        },
        "found": {"email": report.emails_found, "phone": report.phones_found},
        "credits": {
            "reserved": report.reserved,
            "settled": report.settled,
            "released": report.reserved - report.settled,
        },
        "filters": {
            "retrieve": [item.value for item in request.retrieve],
            "email_level": request.email_level.value,
            "only_with": request.only_with.value if request.only_with else None,
            "contacts_per_company": chosen.get("contacts_per_company"),
            "skip_exported": bool(chosen.get("skip_exported")),
        },
        "format": export.format.name,
        "profile": export.profile,
        "columns": [column._asdict() for column in layout.columns],
        "file": {
            "name": file_name(report.id, export),
            "records": sum(part.records for part in told.parts),
            "bytes": file.bytes,
            "sha256": file.sha256,
        },
        "files": [member._asdict() for member in members],
    }


def _write_manifest(artifacts: Artifacts, manifest: dict[str, Any]) -> None:
    with artifacts.create(manifest_name(manifest["job"])) as draft:
        draft.write(json.dumps(manifest, ensure_ascii=False, indent=2).encode())


def manifest_of(deps: Deps, job_id: str) -> dict[str, Any]:
    """The manifest of a job that has left a file."""
    with deps.artifacts.open(manifest_name(job_id)) as stream:
        manifest: dict[str, Any] = json.load(stream)
    return manifest
