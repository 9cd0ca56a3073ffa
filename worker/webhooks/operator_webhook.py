"""The operator's webhook: told of what the house itself finds, signed as others are.

The settings name it. An event is tried again, later each time, until it is accepted or
given up; no transaction is open while it is asked.
"""

import json
import logging

from storage.jobs import outbox
from storage.webhooks import operator_events
from storage.webhooks.operator_events import OperatorEvent
from worker.infrastructure import clock
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import OutboundError
from worker.infrastructure.message_signatures import signed_headers
from worker.infrastructure.retry_policy import backoff_s
from worker.infrastructure.task_results import Done, Later, Never, TaskResult
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import WEBHOOK_ATTEMPTS
from worker.webhooks.answers import ACCEPTED, UNANSWERED, result_of

log = logging.getLogger(__name__)


def deliver(deps: Deps, entry: outbox.Taken) -> TaskResult:
    """Tell the operator of the event that an entry names; what fails comes later."""
    settings = deps.settings
    url, secret = settings.operator_webhook_url, settings.operator_webhook_secret
    if not url or secret is None:
        return _end(deps, entry, Never("the operator has no webhook"))
    with deps.database.transaction() as connection:
        event = operator_events.get(connection, entry.key)
    why = _refusal(deps, event, url, secret.get_secret_value())
    if why is None:
        return _end(deps, entry, Done())
    if entry.attempt >= settings.webhook_attempts_max:
        log.error("the operator is not told of %s: %s", event.id, why)
        return _end(deps, entry, Never(f"given up: {why}"))
    delay_s = backoff_s(
        entry.attempt - 1, base_s=settings.retry_base_s, max_s=settings.retry_max_s
    )
    with deps.database.transaction() as connection:
        held = outbox.give_back(connection, entry, delay_s=delay_s, error=why)
    return Later(delay_s, why) if held else Never("superseded")


def _end(deps: Deps, entry: outbox.Taken, result: TaskResult) -> TaskResult:
    with deps.database.transaction() as connection:
        held = outbox.done(connection, entry)
    return result if held else Never("superseded")


def _refusal(deps: Deps, event: OperatorEvent, url: str, secret: str) -> str | None:
    """Ask once; why the event was not accepted."""
    body = json.dumps(
        {
            "id": event.id,
            "type": event.type,
            "created_at": clock.instant(event.created_at),
            "data": event.data,
        },
        ensure_ascii=False,
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Holdfast",
        **signed_headers([secret], event.id, event.unix_s, body),
    }
    try:
        response = deps.outbound.request("POST", url, headers=headers, content=body)
    except OutboundError as error:
        COUNTERS.add(WEBHOOK_ATTEMPTS, "operator", UNANSWERED)
        return str(error)
    COUNTERS.add(WEBHOOK_ATTEMPTS, "operator", result_of(response.status))
    return None if response.status in ACCEPTED else f"answered {response.status}"
