"""Whether what a message is about still waits, asked before it costs a child."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from storage.jobs import lost_messages
from worker.infrastructure.clock import monotonic_s
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import Settings
from worker.jobs.message_queues import RUN_CHUNK, RUN_ENTRY

log = logging.getLogger(__name__)

_TABLES = {RUN_CHUNK: lost_messages.CHUNKS, RUN_ENTRY: lost_messages.OUTBOX}
_ANSWER_S = 1.0
_REST_S = 10.0


class WaitingRows:
    """Asks the database, from a worker's parent; connects when it is first asked.

    Where the database does not answer at once everything waits, and nobody is held up
    by asking again soon: a child finds out by itself.
    """

    def __init__(self, settings: Settings) -> None:
        self._database = connect(settings, pool=1, answer_s=_ANSWER_S)
        self._silent_until_s = 0.0

    def still_waits(self, task: str, row_id: int) -> bool:
        """Whether the chunk or entry of a task may still be run."""
        if monotonic_s() < self._silent_until_s:
            return True
        try:
            with self._database.transaction() as connection:
                return lost_messages.still_waits(connection, _TABLES[task], row_id)
        except SQLAlchemyError as error:
            log.warning("messages are not held against the database: %s", error)
            self._silent_until_s = monotonic_s() + _REST_S
            return True
