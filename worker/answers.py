"""The objects that clients are answered with, the same for the API and `--json`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from storage.connections.connections import CrmConnection
from storage.findings.lookup_pages import Lookup
from storage.findings.provider_costs import Charged, Cost
from storage.jobs.job_reports import JobReport
from storage.jobs.outcomes import OutcomeRow
from storage.ledger.balances import Balance
from storage.ledger.charges import Charge
from storage.ledger.periods import PeriodRow
from storage.licenses.api_keys import Key
from storage.licenses.licenses import License, User
from storage.licenses.notifications import Notification
from storage.pushes.dry_runs import DryRun
from storage.quotes.quotes import StoredQuote
from storage.webhooks.webhook_deliveries import Delivery
from storage.webhooks.webhooks import Webhook
from worker.connectors import Field
from worker.errors import Problem

Answer = dict[str, Any]


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def of_problem(problem: Problem) -> Answer:
    """What is wrong in one place, which is named as far as there is one."""
    line = {"line": problem.line} if problem.line else {}
    field = {"field": problem.field} if problem.field else {}
    return {**line, **field, "message": problem.message}


def of_license(license_: License) -> Answer:
    """A license."""
    return {
        "id": license_.id,
        "name": license_.name,
        "plan": license_.plan.value,
        "payment_term": license_.payment_term.value,
        "credits": license_.credits,
        "starts_at": instant(license_.starts_at),
        "features": sorted(license_.features),
    }


def of_key(key: Key) -> Answer:
    """A key, without what is secret."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "license": key.license_id,
        "created_at": instant(key.created_at),
        "last_used_at": instant(key.last_used_at),
        "revoked_at": instant(key.revoked_at),
    }


def of_user(user: User) -> Answer:
    """A user of a license."""
    return {
        "id": user.id,
        "role": user.role.value,
        "credits_allowed": user.credits_allowed,
    }


def of_period(row: PeriodRow) -> Answer:
    """A period with its counters."""
    return {
        "starts_at": instant(row.starts_at),
        "ends_at": instant(row.ends_at),
        "granted": row.granted,
        "reserved": row.reserved,
        "spent": row.spent,
        "expired": row.expired,
        "available": row.granted - row.reserved - row.spent - row.expired,
        "ended_at": instant(row.ended_at),
    }


def of_notification(notification: Notification) -> Answer:
    """A message to a user."""
    return {
        "id": notification.id,
        "user": notification.user_id,
        "code": notification.code,
        "message": notification.message,
        "created_at": instant(notification.created_at),
    }


def of_charge(charge: Charge) -> Answer:
    """A charge."""
    return {
        "id": charge.id,
        "job": charge.job_id,
        "view": charge.view_id,
        "user": charge.user_id,
        "item": charge.item,
        "subject": charge.subject,
        "credits": charge.credits,
        "rule": charge.rule,
        "paid_by": charge.paid_by,
        "charged_at": instant(charge.charged_at),
        "refunded_at": instant(charge.refunded_at),
    }


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


def of_balance(balance: Balance) -> Answer:
    """A period's credits."""
    return {
        "period": {
            "starts_at": instant(balance.starts_at),
            "ends_at": instant(balance.ends_at),
        },
        "granted": balance.granted,
        "reserved": balance.reserved,
        "spent": balance.spent,
        "expired": balance.expired,
        "available": balance.available,
    }


def of_quote(stored: StoredQuote) -> Answer:
    """A quote, line by line."""
    quote = stored.quote
    return {
        "id": stored.id,
        "max_credits": quote.max_credits,
        "lines": [
            {
                "item": line.item.value,
                "count": line.count,
                "free": line.free,
                "unit_credits": line.unit_credits,
                "credits": line.credits,
            }
            for line in quote.lines
        ],
        "records": quote.records,
        "companies": quote.companies,
        "persons": quote.persons,
        "duplicates": quote.duplicates,
        "excluded": quote.excluded,
        "changed": [
            {"record": record, "item": item.value, "subject": subject}
            for record, item, subject in quote.changed
        ],
        "available": quote.available,
        "affordable": quote.affordable,
        "fits_records": quote.fits_records,
        "expires_at": instant(stored.expires_at),
    }


class Link(NamedTuple):
    """Where a file can be had, and until when; None: for good."""

    url: str
    expires_at: datetime | None = None


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


def of_webhook(webhook: Webhook, *, secret: str | None = None) -> Answer:
    """A webhook; its secret is there only where it was just made."""
    answer = {
        "id": webhook.id,
        "license": webhook.license_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": instant(webhook.created_at),
    }
    return answer if secret is None else answer | {"secret": secret}


def of_connection(connection: CrmConnection) -> Answer:
    """A connection; its secrets are never answered."""
    return {
        "id": connection.id,
        "license": connection.license_id,
        "connector": connection.connector,
        "name": connection.name,
        "state": connection.state.value,
        "settings": connection.settings,
        "created_at": instant(connection.created_at),
    }


def of_fields(fields: Mapping[str, Field] | None) -> list[Answer] | None:
    """The fields that a CRM has, by name; None where it takes any."""
    if fields is None:
        return None
    return [
        {
            "name": field.name,
            "label": field.label,
            "type": field.type,
            "required": field.required,
            "read_only": field.read_only,
            "options": list(field.options),
            "multiple": field.separator is not None,
            "is_open": field.is_open,
        }
        for _, field in sorted(fields.items())
    ]


def of_dry_run(run: DryRun) -> Answer:
    """A dry run, without its items."""
    error = None
    if run.error_code is not None:
        error = {"code": run.error_code, "detail": run.error_detail}
    return {
        "id": run.id,
        "license": run.license_id,
        "state": run.state,
        "create": run.create,
        "update": run.update,
        "unchanged": run.unchanged,
        "ambiguous": run.ambiguous,
        "refused": run.refused,
        "exclude": run.exclude,
        "created_at": instant(run.created_at),
        "finished_at": instant(run.finished_at),
        "error": error,
    }


def of_delivery(delivery: Delivery) -> Answer:
    """A delivery with its attempts."""
    return {
        "id": delivery.id,
        "event": delivery.event_id,
        "type": delivery.type,
        "created_at": instant(delivery.created_at),
        "delivered_at": instant(delivery.delivered_at),
        "given_up_at": instant(delivery.given_up_at),
        "next_attempt_at": instant(delivery.next_attempt_at),
        "attempts": [
            {
                "attempted_at": instant(attempt.attempted_at),
                "status": attempt.status,
                "error": attempt.error,
                "took_s": attempt.took_s,
            }
            for attempt in delivery.attempts
        ],
    }


def of_lookup(lookup: Lookup) -> Answer:
    """A request to a provider."""
    return {
        "id": lookup.id,
        "provider": lookup.provider,
        "job": lookup.job_id,
        "state": lookup.state.value,
        "vendor_id": lookup.vendor_id,
        "persons": lookup.persons,
        "created_at": instant(lookup.created_at),
        "deadline": instant(lookup.deadline),
        "ended_at": instant(lookup.ended_at),
    }


def of_costs(job_id: str, charged: Sequence[Charged], paid: Sequence[Cost]) -> Answer:
    """What a job was charged, and what each provider was paid in its own credits."""
    return {
        "job": job_id,
        "charged": [line._asdict() for line in charged],
        "paid": [
            {
                "provider": cost.provider,
                "answers": cost.answers,
                # Exact: a number in JSON is a float to most.
                "paid": f"{cost.paid.normalize():f}",
            }
            for cost in paid
        ],
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
