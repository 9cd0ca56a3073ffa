"""Links to a job's file: they need no key, are signed, and expire."""

from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from storage.jobs.job_reports import JobReport
from worker.exports.file_names import media_type
from worker.infrastructure.dependencies import Deps

_PURPOSE = "file"


class Link(NamedTuple):
    """Where a file can be had, and until when; None: for good."""

    url: str
    expires_at: datetime | None = None


def file_link(
    deps: Deps, report: JobReport, now: datetime, base_url: str | None = None
) -> Link | None:
    """A link to a job's file: the store's own, or one to the API.

    The API's begins with the public URL or else with `base_url`. None where the job
    has left no file, or where nobody has said under which address the API is reached.
    """
    if report.file_artifact is None:
        return None
    base = deps.settings.public_url or base_url
    stored = store_link(deps, report, now)
    if stored is not None or base is None:
        return stored
    return api_link(deps, report, now, base)


def api_link(deps: Deps, report: JobReport, now: datetime, base_url: str) -> Link:
    """A link to the API, which hands the file out."""
    expires_at = _end(deps, now)
    signature = deps.keyring.sign(_PURPOSE, _signed(report.id, expires_at))
    return Link(
        f"{base_url.rstrip('/')}/v1/files/{report.id}"
        f"?expires={expires_at.timestamp():.0f}&signature={signature}",
        expires_at,
    )


def store_link(deps: Deps, report: JobReport, now: datetime) -> Link | None:
    """The store's own link to a job's file, where it gives any."""
    if report.file_artifact is None:
        return None
    file_name = report.file_name or report.id
    url = deps.artifacts.link(
        report.file_artifact,
        file_name=file_name,
        media_type=media_type(file_name),
        lasts_s=ceil(deps.settings.file_link_s),
    )
    return Link(url, _end(deps, now)) if url else None


def _end(deps: Deps, now: datetime) -> datetime:
    end = now + timedelta(seconds=deps.settings.file_link_s)
    return end.replace(microsecond=0)


def is_ours(deps: Deps, job_id: str, expires_at: datetime, signature: str) -> bool:
    """Whether a link was made here; whoever asks looks whether it has expired."""
    return deps.keyring.verify(_PURPOSE, _signed(job_id, expires_at), signature)


def _signed(job_id: str, expires_at: datetime) -> str:
    return f"{job_id} {expires_at.timestamp():.0f}"
