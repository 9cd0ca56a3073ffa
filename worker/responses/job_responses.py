"""Jobs as clients are told of them, and what became of their records."""

from storage.jobs.job_reports import JobReport
from storage.jobs.outcomes import OutcomeRow
from worker.exports.download_links import Link
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_rejection(row: OutcomeRow) -> Answer:
    """A record that was rejected, and why."""
    return {
        "record": row.record,
        "company_id": row.company_id,
        "person_id": row.person_id,
        "code": row.code,
        "field": row.field,
        "message": row.message,
        "link": row.link,
    }


def of_outcome(row: OutcomeRow) -> Answer:
    """What became of a record."""
    return {
        "record": row.record,
        "company_id": row.company_id,
        "person_id": row.person_id,
        "outcome": row.outcome,
        "email_found": row.email_found,
        "phone_found": row.phone_found,
        "change": row.change,
        "code": row.code,
        "message": row.message,
        "link": row.link,
    }


def of_job(report: JobReport, *, link: Link | None = None) -> Answer:
    """A job; `link` says where its file can be had, once it is there."""
    return {
        "id": report.id,
        "kind": report.kind,
        "state": report.state.value,
        "license": report.license_id,
        "user": report.user_id,
        "name": report.name,
        "retry_of": report.retry_of,
        "priority": report.priority.word,
        "created_at": instant(report.created_at),
        "started_at": instant(report.started_at),
        "finished_at": instant(report.finished_at),
        "waiting": _waiting(report),
        "credits": {
            "reserved": report.reserved,
            "settled": report.settled,
            "released": report.released,
            "refunded": report.refunded,
        },
        "progress": {
            "records": report.records,
            "delivered": report.delivered,
            "created": report.created,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "excluded": report.excluded,
            "rejected": report.rejected,
            "unreached": report.unreached,
            "chunks": report.chunks,
            "chunks_done": report.chunks_done,
        },
        "found": {"email": report.emails_found, "phone": report.phones_found},
        "file": _file(report, link),
        "error": _error(report),
    }


def _waiting(report: JobReport) -> Answer | None:
    if report.waiting_reason is None:
        return None
    return {"reason": report.waiting_reason, "until": instant(report.waiting_until)}


def _file(report: JobReport, link: Link | None) -> Answer | None:
    if report.file_artifact is None:
        return None
    return {
        "name": report.file_name,
        "bytes": report.file_bytes,
        "sha256": report.file_sha256,
        "url": link.url if link else None,
        "expires_at": instant(link.expires_at) if link else None,
    }


def _error(report: JobReport) -> Answer | None:
    if report.error_code is None:
        return None
    return {"code": report.error_code, "detail": report.error_detail}
