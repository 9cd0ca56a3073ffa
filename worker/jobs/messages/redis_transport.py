"""Kombu's transport for Redis, which drops what is no message instead of ending.

A message on a Redis is a JSON object that names its own queue and tag. Kombu takes it
out and then reads it: what cannot be read ends the worker's event loop, and one that
is only half right is put back when the worker ends, for the next one to end on.
"""

import logging
from queue import Empty
from typing import Any

from kombu import transport
from kombu.transport import redis
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.jobs.messages.dropped_messages import DROPPED, Reason

log = logging.getLogger(__name__)


_CLASSES = redis.get_redis_error_classes()  # type: ignore[no-untyped-call]
_BROKERS_OWN = (*_CLASSES.connection_errors, *_CLASSES.channel_errors)
"""What the server or the way to it is to blame for, not a message."""


class _DeliveryInfo(BaseModel):
    exchange: str
    routing_key: str


class _Properties(BaseModel):
    delivery_tag: str = Field(min_length=1)
    delivery_info: _DeliveryInfo
    body_encoding: str | None = Field(default=None, pattern="^base64$")


class _Envelope(BaseModel):
    """What kombu reads of a message before anybody is asked about it."""

    model_config = ConfigDict(strict=True)

    body: str
    properties: _Properties
    headers: dict[str, object] = Field(default_factory=dict)
    content_type: str | None = Field(default=None, alias="content-type")
    content_encoding: str | None = Field(default=None, alias="content-encoding")


class _QoS(redis.QoS):
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
        try:
            _Envelope.model_validate(message)
        except ValidationError:
            DROPPED.note(queue, Reason.NO_ENVELOPE)
            return
        self.is_delivering = True
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]


def install() -> None:
    """Let kombu take this transport wherever a URL names a Redis."""
    name = f"{__name__}:{Transport.__name__}"
    transport.TRANSPORT_ALIASES.update(redis=name, rediss=name)
