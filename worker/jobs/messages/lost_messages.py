"""What the broker has lost, found by asking it, and sent again.

That a message has not been taken says nothing by itself: it may wait behind others, for
hours where no worker runs. Sent again each minute it would only make the queue longer.
"""

import logging
from typing import Protocol

from storage.jobs import heartbeats, lost_messages
from storage.jobs.lost_messages import Sent
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.settings import MISSED_REPORTS
from worker.infrastructure.telemetry import metric_families
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.jobs.message_queues import CHUNKS, CONTROL, SMALL, TAKEN
from worker.jobs.messages.broker_queues import BrokerSilent

log = logging.getLogger(__name__)

_SENT = {
    CHUNKS: Sent(lost_messages.CHUNKS, CHUNKS),
    SMALL: Sent(lost_messages.CHUNKS, SMALL),
    CONTROL: Sent(lost_messages.OUTBOX),
}
"""What the messages of a queue are about."""


class Broker(Protocol):
    """Says how many messages wait in a queue. Raises `BrokerSilent`."""

    def waiting(self, queue: str) -> int:
        """How many messages wait, without those that workers hold."""


def bring_back(deps: Deps, broker: Broker) -> int:
    """Let rows wait again whose message is lost; return how many there were.

    A broker that does not answer is asked again next time: it would take nothing.
    """
    count = 0
    for queue, sent in _SENT.items():
        with deps.database.transaction() as connection:
            asked_at = lost_messages.instant(connection)
            oldest_s = lost_messages.oldest_sent_s(connection, sent)
        if oldest_s < deps.settings.message_lost_s:
            continue
        try:
            messages = _waiting(deps, broker, queue)
        except BrokerSilent as error:
            log.warning("the broker does not say what it holds: %s", error)
            break
        with deps.database.transaction() as connection:
            lost = lost_messages.bring_back(
                connection,
                sent,
                messages=messages,
                asked_at=asked_at,
                after_s=deps.settings.message_lost_s,
            )
        COUNTERS.add(metric_families.MESSAGES_SENT_AGAIN, queue, by=lost)
        count += lost
    if count:
        log.warning("the broker has lost %s messages; they are sent again", count)
    return count


def _waiting(deps: Deps, broker: Broker, queue: str) -> int:
    """How many messages wait in a queue for somebody who will take them."""
    if queue == SMALL and not reads_small(deps):
        return 0
    return broker.waiting(queue)


def reads_small(deps: Deps) -> bool:
    """Whether all workers read the queue of small jobs: older ones do not."""
    within_s = deps.settings.report_interval_s * MISSED_REPORTS
    with deps.database.transaction() as connection:
        return heartbeats.is_read(connection, SMALL, within_s=within_s)


def takes_small(deps: Deps) -> bool:
    """Whether any worker takes small jobs' chunks by itself."""
    within_s = deps.settings.report_interval_s * MISSED_REPORTS
    with deps.database.transaction() as connection:
        return heartbeats.any_reads(connection, TAKEN, within_s=within_s)
