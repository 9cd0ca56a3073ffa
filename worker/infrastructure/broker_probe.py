"""Whether the broker that the settings name answers; one that is not named is absent.

Clients of brokers take a missing URL for a server of their own choice: kombu, say, for
a RabbitMQ on this machine. None of them is ever asked without one.
"""

from typing import Any

from kombu.connection import Connection
from kombu.exceptions import KombuError
from redis import RedisError

from worker.infrastructure.settings import Settings

_WITHIN_S = 2.0
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")


def broker_answers(settings: Settings) -> bool:
    """Whether the broker takes a connection, within two seconds or so."""
    if not settings.broker_url:
        return False
    is_amqp = settings.broker_url.startswith("amqp")
    # What AMQP's client calls one timeout is two for that of Redis, without which it
    # waits for ever for a server that says nothing.
    options = {} if is_amqp else dict.fromkeys(_TIMEOUTS, _WITHIN_S)
    broker: Any = Connection(  # type: ignore[no-untyped-call]
        settings.broker_url, connect_timeout=_WITHIN_S, transport_options=options
    )
    try:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=_WITHIN_S)
    except (
        OSError,
        KombuError,
        RedisError,
        # A login, or a virtual host, that it refuses is an error of a channel.
        *broker.connection_errors,
        *broker.channel_errors,
    ):
        return False
    finally:
        broker.release()
    return True
