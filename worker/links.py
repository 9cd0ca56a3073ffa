"""Links to a job's file: they need no key, are signed, and expire."""

from datetime import datetime, timedelta

from storage.reports import JobReport
from worker.answers import Link
from worker.wiring import Deps

_PURPOSE = "file"


def file_link(
    deps: Deps, report: JobReport, now: datetime, base_url: str | None = None
) -> Link | None:
    """A link to a job's file, beginning with the public URL or else with `base_url`.

    None where the job has left no file, or where nobody has said under which address
    the API is reached.
    """
    base = deps.settings.public_url or base_url
    if report.file_artifact is None or base is None:
        return None
    expires_at = (now + timedelta(seconds=deps.settings.file_link_s)).replace(
        microsecond=0
    )
    signature = deps.keyring.sign(_PURPOSE, _signed(report.id, expires_at))
    return Link(
        f"{base.rstrip('/')}/v1/files/{report.id}"
        f"?expires={expires_at.timestamp():.0f}&signature={signature}",
        expires_at,
    )


def is_ours(deps: Deps, job_id: str, expires_at: datetime, signature: str) -> bool:
    """Whether a link was made here; whoever asks looks whether it has expired."""
    return deps.keyring.verify(_PURPOSE, _signed(job_id, expires_at), signature)


def _signed(job_id: str, expires_at: datetime) -> str:
    return f"{job_id} {expires_at.timestamp():.0f}"
