"""The manifest beside an export's file: what is in it, for whom, at what price."""

import json
from typing import Any, NamedTuple

from storage.exports.file_parts import Part
from storage.files.artifacts import Artifacts, Written
from storage.jobs.job_reports import JobReport
from storage.jobs.jobs import manifest_name
from storage.quotes.quotes import Request
from worker.exports.export_options import Export
from worker.exports.file_layout import Layout
from worker.exports.file_names import file_name, media_type
from worker.exports.writers.numbered_files import Member
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps


class SealedJob(NamedTuple):
    """What the database says of the job."""

    parts: list[Part]
    request: Request
    report: JobReport


def manifest(
    told: SealedJob,
    export: Export,
    layout: Layout,
    file: Written,
    members: list[Member],
) -> dict[str, Any]:
    """What is in the file, for whom, and at what price; the same each time."""
    request, report = told.request, told.report
    chosen = request.export or {}
    sealed_name = file_name(report.id, export)
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
            "name": sealed_name,
            "records": sum(part.records for part in told.parts),
            "bytes": file.bytes,
            "sha256": file.sha256,
            "media_type": media_type(sealed_name),
        },
        "files": [member._asdict() for member in members],
    }


def write_manifest(artifacts: Artifacts, manifest: dict[str, Any]) -> None:
    name = manifest_name(manifest["job"])
    with artifacts.create(name, media_type="application/json") as draft:
        draft.write(json.dumps(manifest, ensure_ascii=False, indent=2).encode())


def manifest_of(deps: Deps, job_id: str) -> dict[str, Any]:
    """The manifest of a job that has left a file."""
    return manifest_at(deps.artifacts, job_id)


def manifest_at(artifacts: Artifacts, job_id: str) -> dict[str, Any]:
    """The same, from where files are kept. Raises `ArtifactError` where it is gone."""
    with artifacts.open(manifest_name(job_id)) as stream:
        manifest: dict[str, Any] = json.load(stream)
    return manifest
