"""The product's own queues in the broker: how many messages wait there, and none.

Only the dispatcher asks: it is the one that publishes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis import RedisError

from worker.jobs.message_queues import QUEUES

_UNACKED = ("unacked", "unacked_index", "unacked_mutex")
"""Where kombu keeps on a Redis what workers hold."""


class BrokerSilent(Exception):
    """The broker did not answer."""


class BrokerQueues:
    """Asks the broker of an app, on a connection of its own each time."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue, without those that workers hold.

        Raises `BrokerSilent`.
        """
        with self._channel() as (connection, channel):
            try:
                return self._count(channel, queue)
            except connection.channel_errors:
                # A queue that is not there holds nothing; one of another type of ours
                # is nothing that a message could be taken from.
                return 0

    def purge(self) -> None:
        """Empty the queues, and on a Redis what workers hold. Raises `BrokerSilent`."""
        for queue in QUEUES:
            with self._channel() as (connection, channel):
                try:
                    self._empty(channel, queue)
                except connection.channel_errors:
                    continue

    def _count(self, channel: Any, queue: str) -> int:  # noqa: ANN401 - a broker's own
        if not _is_redis(channel):
            return int(channel.queue_declare(queue, passive=True).message_count)
        # Declaring passively asks for a key without our prefix, which is never there.
        with channel.conn_or_acquire() as client:
            return int(client.llen(queue))

    def _empty(self, channel: Any, queue: str) -> None:  # noqa: ANN401 - a broker's own
        if not _is_redis(channel):
            channel.queue_purge(queue)
            return
        with channel.conn_or_acquire() as client:
            # Whatever stands there, be it a list or not.
            client.delete(queue, *_UNACKED)

    @contextmanager
    def _channel(self) -> Iterator[tuple[Any, Any]]:
        connection: Any = self._app.connection_for_write()
        try:
            yield connection, connection.channel()
        except (
            *(OSError, KombuError, RedisError),
            *connection.connection_errors,
        ) as error:
            raise BrokerSilent(str(error)) from error
        finally:
            connection.release()


def _is_redis(channel: object) -> bool:
    return hasattr(channel, "conn_or_acquire")
