"""The broker is emptied and filled again, where workers end on what stands in it.

What a worker cannot read it drops; this is for what ends a worker before that, or in
spite of it. Nothing is lost: the rows say what waits.
"""

import logging

from storage.jobs import lost_messages, worker_health
from worker.infrastructure.dependencies import Deps
from worker.jobs.messages.broker_queues import BrokerQueues, BrokerSilent

log = logging.getLogger(__name__)

FAILURES_MAX = 3
_WITHIN_S = 300.0
_SILENT_S = 60.0


def purge_where_workers_end(deps: Deps, broker: BrokerQueues) -> bool:
    """Empty our queues after so many failures, and let all that waits be sent again."""
    with deps.database.transaction() as connection:
        failures = worker_health.failures(
            connection, silent_s=_SILENT_S, within_s=_WITHIN_S
        )
        began_at = lost_messages.instant(connection)
    if failures < FAILURES_MAX:
        return False
    try:
        broker.purge()
    except BrokerSilent as error:
        log.warning("the broker could not be emptied: %s", error)
        return False
    with deps.database.transaction() as connection:
        count = lost_messages.bring_back_all(connection, before=began_at)
        worker_health.forget_failures(connection)
    log.critical(
        "%s workers ended in a row: the broker was emptied, %s messages are sent again",
        failures,
        count,
    )
    return True
