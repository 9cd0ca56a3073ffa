"""Deliveries: workers tell webhooks of events.

An event is delivered at least once and always under the same id. What a webhook does
not accept is tried again, later each time, until it is given up. No transaction is
open while a webhook is asked.
"""

import json
import logging
from datetime import datetime

from sqlalchemy import Connection

from storage.jobs import job_reports, outbox
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.webhooks import webhook_deliveries
from storage.webhooks.events import EventType
from storage.webhooks.webhook_deliveries import Attempt, Due
from worker.exports.download_links import file_link
from worker.infrastructure import clock
from worker.infrastructure.clock import Stopwatch
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import (
    OutboundError,
)
from worker.infrastructure.keyring import Undecipherable
from worker.infrastructure.message_signatures import signed_headers
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.task_results import Done, Later, Never, TaskResult
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import WEBHOOK_ATTEMPTS
from worker.responses import job_responses
from worker.webhooks.answers import ACCEPTED, UNANSWERED, result_of

log = logging.getLogger(__name__)


def fan_out(deps: Deps, entry: outbox.Taken) -> TaskResult:
    """Queue a delivery for each webhook that wants the event of an entry."""
    with deps.database.transaction() as connection:
        if not outbox.done(connection, entry):
            return Never("superseded")
        count = webhook_deliveries.fan_out(connection, entry.key)
    log.info("event %s: %s deliveries", entry.key, count)
    return Done()


def deliver(deps: Deps, entry: outbox.Taken) -> TaskResult:
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
        data = job_responses.of_job(report, link=file_link(deps, report, now))
    return json.dumps(
        {
            "id": due.event_id,
            "type": due.type,
            "created_at": clock.instant(due.created_at),
            "data": data,
        },
        ensure_ascii=False,
    ).encode()


def _attempt(deps: Deps, due: Due, body: bytes) -> Attempt:
    watch = Stopwatch()
    try:
        secrets = [deps.keyring.decrypt(one) for one in due.secrets]
        response = deps.outbound.request(
            "POST",
            due.url,
            headers={
                "Content-Type": "application/json",
                "User-Agent": "Holdfast",
                **signed_headers(secrets, due.event_id, due.unix_s, body),
            },
            content=body,
        )
    except (OutboundError, Undecipherable) as error:
        COUNTERS.add(WEBHOOK_ATTEMPTS, "license", UNANSWERED)
        return Attempt(None, str(error), watch.elapsed_s)
    COUNTERS.add(WEBHOOK_ATTEMPTS, "license", result_of(response.status))
    return Attempt(response.status, None, watch.elapsed_s)


def _conclude(
    deps: Deps, entry: outbox.Taken, due: Due, attempt: Attempt
) -> TaskResult:
    """Keep what came of an attempt, also where another worker holds the entry now."""
    settings = deps.settings
    why = attempt.error or f"answered {attempt.status}"
    with deps.database.transaction() as connection:
        made = webhook_deliveries.log(connection, due.id, attempt)
        if attempt.status in ACCEPTED:
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
