"""The brokers that workers are tested on: our own Valkey, or those that are named."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import redis
from kombu.connection import Connection

from tests.support.servers import own_broker
from worker.jobs.message_queues import CONTROL, QUEUES

OWN = "own Valkey"
NAMED = {
    "Redis": os.environ.get("HOLDFAST_TEST_REDIS_URL"),
    "RabbitMQ": os.environ.get("HOLDFAST_TEST_AMQP_URL"),
}
KINDS = [kind for kind, url in NAMED.items() if url] or [OWN]


class Broker(Protocol):
    """A broker that runs, and can forget all that it was given."""

    url: str

    def flush(self) -> None:
        """Lose every message."""

    def plant(self, queue: str, **message: object) -> None:
        """Put a message into a queue as somebody else would, who knows no better."""


_PLAIN: dict[str, object] = {"serializer": None, "content_encoding": "utf-8"}


def _publish(connection: Connection, queue: str, message: dict[str, object]) -> None:
    given = {"content_type": "application/json", **_PLAIN, **message}
    exchange, key = ("", queue)
    with connection.Producer() as producer:
        producer.publish(given.pop("body"), exchange=exchange, routing_key=key, **given)


class _Redis:
    def __init__(self, url: str) -> None:
        self.url = url
        address = url.replace("redis+socket://", "unix://")
        self._client = redis.Redis.from_url(address)

    def flush(self) -> None:
        for key in self._client.scan_iter("holdfast:*"):
            self._client.delete(key)

    def plant(self, queue: str, **message: object) -> None:
        options = {"global_keyprefix": "holdfast:"}
        with Connection(self.url, transport_options=options) as connection:
            _publish(connection, queue, message)

    def plant_raw(self, queue: str, text: str) -> None:
        """Put there what is no message at all."""
        self._client.lpush(f"holdfast:{queue}", text)

    def spoil(self, queue: str) -> None:
        """Let something else stand in a queue's place."""
        self._client.set(f"holdfast:{queue}", "hello")

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue."""
        return int(self._client.llen(f"holdfast:{queue}"))


_DELAYS = [f"celery_delayed_{level}" for level in range(28)]
"""What Celery declares beside each quorum queue; nobody here delays a message."""


class _Rabbit:
    def __init__(self, url: str) -> None:
        self.url = url
        with Connection(url) as connection:
            self._delays_were_there = self._is_declared(connection, _DELAYS[0])

    def _is_declared(self, connection: Connection, queue: str) -> bool:
        try:
            connection.default_channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
        return True

    def flush(self) -> None:
        with Connection(self.url) as connection:
            for queue in QUEUES:
                connection.default_channel.queue_purge(queue)

    def plant(self, queue: str, **message: object) -> None:
        with Connection(self.url) as connection:
            _publish(connection, queue, message)

    def waiting(self, queue: str) -> int:
        with Connection(self.url) as connection:
            declared = connection.default_channel.queue_declare(queue, passive=True)
            return int(declared.message_count)

    def remove(self) -> None:
        with Connection(self.url) as connection:
            channel = connection.default_channel
            for queue in QUEUES:
                channel.queue_delete(queue)
            channel.exchange_delete(CONTROL)
            for name in () if self._delays_were_there else _DELAYS:
                channel.queue_delete(name)
                channel.exchange_delete(name)


@contextmanager
def broker_of(kind: str, folder: Path) -> Iterator[Broker]:
    """A broker of this kind; what a test left on a named one is removed."""
    if kind == OWN:
        with own_broker(folder) as own, own.running():
            yield _Redis(own.url)
        return
    url = NAMED[kind]
    assert url is not None
    if kind == "Redis":
        named = _Redis(url)
        yield named
        named.flush()
    else:
        rabbit = _Rabbit(url)
        yield rabbit
        rabbit.remove()
