"""Webhooks: made and taken away by clients, told of events by workers.

An event is delivered at least once and always under the same id. What a webhook does
not accept is tried again, later each time, until it is given up. No transaction is
open while a webhook is asked.
"""

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from storage.jobs import job_reports, outbox
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.webhooks import webhook_deliveries, webhooks
from storage.webhooks.events import EventType
from storage.webhooks.webhook_deliveries import Attempt, Delivery, Due
from storage.webhooks.webhooks import Webhook
from worker import answers
from worker.clock import Stopwatch
from worker.errors import Code, ForbiddenTarget, OutboundError, Refused, bad
from worker.fates import Done, Fate, Later, Never, backoff_s
from worker.links import file_link
from worker.producer import new_id
from worker.secrets import Undecipherable
from worker.signatures import signature
from worker.wiring import Deps

log = logging.getLogger(__name__)

SIGNATURE = "Holdfast-Signature"
"""The header that proves who sent a delivery, and when."""

Once = Callable[[Connection, str], None]
"""Notes in the same transaction what a request has made."""

_URL_LENGTH_MAX = 2000
_ACCEPTED = range(200, 300)


# -- What clients do.


def create(
    deps: Deps,
    license_id: str,
    url: str,
    events: Sequence[str],
    once: Once | None = None,
) -> tuple[Webhook, str]:
    """Make a webhook; the secret beside it is shown this once and never again.

    Raises `BadInput` for a URL that must not be asked or an event that there is not,
    and `Refused` without a license.
    """
    _check_events(events)
    _check_url(deps, url)
    secret = f"whsec_{secrets.token_urlsafe(32)}"
    sealed = deps.keyring.encrypt(secret)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        webhook = webhooks.create(
            connection,
            new_id("wh"),
            license_id,
            url=url,
            events=list(dict.fromkeys(events)),
            secret=sealed,
        )
        if once is not None:
            once(connection, webhook.id)
    return webhook, secret


def get(deps: Deps, webhook_id: str) -> Webhook:
    """A webhook. Raises `Refused` where there is none, or none any more."""
    with deps.database.transaction() as connection:
        return _need(connection, webhook_id)


def page(
    deps: Deps,
    *,
    license_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Webhook]:
    """Webhooks by id, of one license if asked, from behind the id `after`."""
    with deps.database.transaction() as connection:
        return webhooks.page(
            connection, license_id=license_id, after=after, limit=limit
        )


def delete(deps: Deps, webhook_id: str) -> None:
    """Take a webhook away; what waits for it is not delivered any more."""
    with deps.database.transaction() as connection:
        _need(connection, webhook_id)
        webhooks.delete(connection, webhook_id)


def deliveries(
    deps: Deps,
    webhook_id: str,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """What a webhook was told, the newest first, from behind the id `before`."""
    with deps.database.transaction() as connection:
        _need(connection, webhook_id)
        return webhook_deliveries.deliveries(
            connection, webhook_id, before=before, limit=limit
        )


def _need(connection: Connection, webhook_id: str) -> Webhook:
    webhook = webhooks.get(connection, webhook_id)
    if webhook is None:
        raise Refused(Code.NOT_FOUND, f"there is no webhook {webhook_id}")
    return webhook


def _check_events(events: Sequence[str]) -> None:
    known = [type_.value for type_ in EventType]
    if not events:
        raise bad("events", "must name one event or more")
    for name in events:
        if name not in known:
            raise bad("events", f"must be of {', '.join(known)}")


def _check_url(deps: Deps, url: str) -> None:
    if len(url) > _URL_LENGTH_MAX:
        raise bad("url", f"must have at most {_URL_LENGTH_MAX} characters")
    try:
        deps.outbound.check(url)
    except ForbiddenTarget as error:
        raise bad("url", error.reason) from error


# -- What workers do.


def fan_out(deps: Deps, entry: outbox.Taken) -> Fate:
    """Queue a delivery for each webhook that wants the event of an entry."""
    with deps.database.transaction() as connection:
        if not outbox.done(connection, entry):
            return Never("superseded")
        count = webhook_deliveries.fan_out(connection, entry.key)
    log.info("event %s: %s deliveries", entry.key, count)
    return Done()


def deliver(deps: Deps, entry: outbox.Taken) -> Fate:
    """Attempt the delivery that an entry names; what fails comes back later."""
    with deps.database.transaction() as connection:
        due = webhook_deliveries.due(connection, int(entry.key))
        if due.ended or due.deleted:
            webhook_deliveries.give_up(connection, due.id)
            outbox.done(connection, entry)
            return Never("the webhook was deleted" if due.deleted else "it has ended")
        report = _finished(connection, due)
        now = licenses.business_now(connection)
    attempt = _attempt(deps, due, _body(deps, due, report, now))
    return _conclude(deps, entry, due, attempt)


def _finished(connection: Connection, due: Due) -> JobReport | None:
    """The job that an event tells of, as it is now."""
    if due.type != EventType.JOB_FINISHED:
        return None
    report = job_reports.job(connection, due.data["job"])
    if report is None:
        raise LookupError(f"there is no job {due.data['job']}")
    return report


def _body(deps: Deps, due: Due, report: JobReport | None, now: datetime) -> bytes:
    data = due.data
    if report is not None:
        # Made for this attempt: one made for the first would have expired meanwhile.
        data = answers.of_job(report, link=file_link(deps, report, now))
    return json.dumps(
        {
            "id": due.event_id,
            "type": due.type,
            "created_at": answers.instant(due.created_at),
            "data": data,
        },
        ensure_ascii=False,
    ).encode()


def _attempt(deps: Deps, due: Due, body: bytes) -> Attempt:
    watch = Stopwatch()
    try:
        secret = deps.keyring.decrypt(due.secret)
        response = deps.outbound.request(
            "POST",
            due.url,
            headers={
                "Content-Type": "application/json",
                "User-Agent": "Holdfast",
                SIGNATURE: signature(secret, due.unix_s, body),
            },
            content=body,
        )
    except (OutboundError, Undecipherable) as error:
        return Attempt(None, str(error), watch.elapsed_s)
    return Attempt(response.status, None, watch.elapsed_s)


def _conclude(deps: Deps, entry: outbox.Taken, due: Due, attempt: Attempt) -> Fate:
    """Keep what came of an attempt, also where another worker holds the entry now."""
    settings = deps.settings
    why = attempt.error or f"answered {attempt.status}"
    with deps.database.transaction() as connection:
        made = webhook_deliveries.log(connection, due.id, attempt)
        if attempt.status in _ACCEPTED:
            webhook_deliveries.delivered(connection, due.id)
            outbox.done(connection, entry)
            return Done()
        if made >= settings.webhook_attempts_max:
            if not outbox.done(connection, entry):
                return Never("superseded")
            webhook_deliveries.give_up(connection, due.id)
            log.warning("delivery %s is given up: %s", due.id, why)
            return Never(f"given up: {why}")
        delay_s = backoff_s(
            made - 1, base_s=settings.retry_base_s, max_s=settings.retry_max_s
        )
        held = outbox.give_back(connection, entry, delay_s=delay_s, error=why)
    return Later(delay_s, why) if held else Never("superseded")
