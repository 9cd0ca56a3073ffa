"""Messages that a worker dropped instead of running them, counted by queue and reason.

A consumer notes them while it consumes; the heartbeat carries them to the database.
"""

import logging
import threading
from collections import Counter
from enum import StrEnum

from worker.jobs.message_queues import QUEUES

log = logging.getLogger(__name__)

_OTHER = "other"


class Reason(StrEnum):
    """Why a message was dropped."""

    NO_ENVELOPE = "no_envelope"
    """It is not what a client of Celery puts there."""
    NOT_JSON = "not_json"
    """Its body cannot be decoded."""
    UNKNOWN_TASK = "unknown_task"
    WRONG_ARGUMENTS = "wrong_arguments"
    """It holds something else than one id."""
    TOO_LARGE = "too_large"
    STALE = "stale"
    """A copy: what it is about is being run, or done."""


Counts = dict[tuple[str, str], int]
"""How many, by queue and reason."""


class DroppedMessages:
    """Counts between two heartbeats."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, queue: str, reason: Reason) -> None:
        """Count one; the name of a queue that is not ours is not kept."""
        queue = queue if queue in QUEUES else _OTHER
        if reason is not Reason.STALE:
            log.warning("a message in %s is dropped: %s", queue, reason)
        with self._lock:
            self._counts[queue, reason] += 1

    def take(self) -> Counts:
        """What was counted since it was last taken."""
        with self._lock:
            counts = dict(self._counts)
            self._counts.clear()
        return counts

    def give_back(self, counts: Counts) -> None:
        """Count again what could not be kept."""
        with self._lock:
            self._counts.update(counts)


DROPPED = DroppedMessages()
"""Of this process."""
