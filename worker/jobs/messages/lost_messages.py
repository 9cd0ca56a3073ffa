"""What the broker has lost, found by asking it, and sent again.

That a message has not been taken says nothing by itself: it may wait behind others, for
hours where no worker runs. Sent again each minute it would only make the queue longer.
"""

import logging
from typing import Protocol

from storage.jobs import lost_messages
from worker.infrastructure.dependencies import Deps
from worker.jobs.message_queues import CHUNKS, CONTROL
from worker.jobs.messages.broker_queues import BrokerSilent

log = logging.getLogger(__name__)

_TABLES = {CHUNKS: lost_messages.CHUNKS, CONTROL: lost_messages.OUTBOX}
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
    for queue, table in _TABLES.items():
        with deps.database.transaction() as connection:
            asked_at = lost_messages.instant(connection)
            oldest_s = lost_messages.oldest_sent_s(connection, table)
        if oldest_s < deps.settings.message_lost_s:
            continue
        try:
            messages = broker.waiting(queue)
        except BrokerSilent as error:
            log.warning("the broker does not say what it holds: %s", error)
            break
        with deps.database.transaction() as connection:
            count += lost_messages.bring_back(
                connection,
                table,
                messages=messages,
                asked_at=asked_at,
                after_s=deps.settings.message_lost_s,
            )
    if count:
        log.warning("the broker has lost %s messages; they are sent again", count)
    return count
