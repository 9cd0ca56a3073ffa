"""A listener: waits until PostgreSQL says on a channel that there is something to do.

What it hears is a hint and never needed. It keeps a connection of its own; where that
is lost, or a pooler in between keeps notifications to itself, it waits as long as it
was told to and hears nothing.
"""

import logging
from threading import Event

import psycopg

from storage.bounded_connection import BoundedConnection
from storage.database import Database

log = logging.getLogger(__name__)

WORK = "holdfast_work"
"""The channel on which is said that something waits to be handed out."""

_LOOK_S = 0.25
"""How long it waits before it looks whether to stop."""

_REST_S = 5.0
"""How long it waits, where a connection failed, before it opens the next."""


class Listener:
    """Listens to one channel of a database, from one thread.

    It looks each `look_s` whether to stop.
    """

    def __init__(
        self, database: Database, channel: str, *, look_s: float = _LOOK_S
    ) -> None:
        self._database = database
        self._look_s = look_s
        self._channel = channel
        self._connection: BoundedConnection | None = None
        self._rest_s = 0.0

    def wait(self, stop: Event, timeout_s: float) -> None:
        """Return at a notification, when `stop` is set, or after `timeout_s`.

        It returns at once where it has only begun to listen: what was said before,
        nobody has heard.
        """
        if self._connection is None and self._rest_s <= 0 and self._listen():
            return
        left_s = timeout_s
        while left_s > 0 and not stop.is_set():
            look_s = min(left_s, self._look_s)
            if self._hears(stop, look_s):
                return
            left_s -= look_s

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> bool:
        try:
            self._connection = self._database.connect_apart()
            self._connection.execute(f"LISTEN {self._channel}".encode())
        except psycopg.Error as error:
            self._lose(error)
            return False
        return True

    def _lose(self, error: Exception) -> None:
        log.warning("nobody listens to %s: %s", self._channel, error)
        self.close()
        self._rest_s = _REST_S

    def _hears(self, stop: Event, timeout_s: float) -> bool:
        if self._connection is None:
            stop.wait(timeout_s)
            self._rest_s -= timeout_s
            return False
        try:
            return bool(
                list(self._connection.notifies(timeout=timeout_s, stop_after=1))
            )
        except psycopg.Error as error:
            self._lose(error)
            stop.wait(timeout_s)
            return False
