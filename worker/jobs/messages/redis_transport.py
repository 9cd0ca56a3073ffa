"""Kombu's transport for Redis, which outlives messages that are none, and its server.

A message on a Redis is a JSON object that names its own queue and tag. Kombu takes it
out and then reads it: what cannot be read ends the worker's event loop, and one that
is only half right is put back when the worker ends, for the next one to end on. And a
server that goes while a worker has its hands full is not missed by it: here it is.
"""

import logging
from queue import Empty
from typing import Any

from kombu import transport
from kombu.transport import redis

from worker.jobs.messages.dropped_messages import DROPPED, Reason

log = logging.getLogger(__name__)


_CLASSES = redis.get_redis_error_classes()  # type: ignore[no-untyped-call]
_BROKERS_OWN = (*_CLASSES.connection_errors, *_CLASSES.channel_errors)
"""What the server or the way to it is to blame for, not a message."""


def _is_envelope(message: object) -> bool:
    """Whether there is what kombu reads of a message before anybody is asked."""
    match message:
        case {
            "body": str(),
            "properties": {
                "delivery_tag": str(tag),
                "delivery_info": {"exchange": str(), "routing_key": str()},
                **properties,
            },
            **rest,
        }:
            contents = (rest.get("content-type"), rest.get("content-encoding"))
            return (
                tag != ""
                and properties.get("body_encoding") in (None, "base64")
                and isinstance(rest.get("headers", {}), dict)
                and all(isinstance(one, str | None) for one in contents)
            )
    return False


class _QoS(redis.QoS):
    # Kombu counts a message whose acknowledgement the broker did not hear as still
    # worked on. Where that is all a worker may hold, it asks for nothing more, reads
    # nothing from the broker, and never learns that the connection is gone.

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge; its place is free whether the broker hears of it or not."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject; its place is free whether the broker hears of it or not."""
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        finally:
            self._quick_ack(delivery_tag)

    def restore_by_tag(self, tag: str, *args: Any, **options: Any) -> None:  # noqa: ANN401 - kombu's own
        """Put back what a worker had not finished, where it can be read."""
        try:
            super().restore_by_tag(tag, *args, **options)  # type: ignore[no-untyped-call]
        except _BROKERS_OWN:
            raise
        except Exception:  # noqa: BLE001 - whatever reading it raises
            DROPPED.note("", Reason.NO_ENVELOPE)
            self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]


class _Channel(redis.Channel):
    QoS = _QoS

    def _brpop_read(self, **options: Any) -> object:  # noqa: ANN401 - kombu's own
        """Read what was taken, and drop it where it cannot be read."""
        self.connection.is_delivering = False
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (*_BROKERS_OWN, Empty):
            raise
        except Exception:
            if self.connection.is_delivering:
                raise
            DROPPED.note("", Reason.NO_ENVELOPE)
            return True


class Transport(redis.Transport):
    """Delivers messages, and drops what only looks like one."""

    Channel = _Channel
    is_delivering = False

    def _deliver(self, message: object, queue: str) -> None:
        if not _is_envelope(message):
            DROPPED.note(queue, Reason.NO_ENVELOPE)
            return
        self.is_delivering = True
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]


def install() -> None:
    """Let kombu take this transport wherever a URL names a Redis."""
    name = f"{__name__}:{Transport.__name__}"
    transport.TRANSPORT_ALIASES.update(redis=name, rediss=name)
