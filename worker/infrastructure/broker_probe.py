"""Whether the broker that the settings name answers; one that is not named is absent.

Clients of brokers take a missing URL for a server of their own choice: kombu, say, for
a RabbitMQ on this machine. None of them is ever asked without one.
"""

from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.infrastructure.settings import Settings

_WITHIN_S = 2.0


def broker_answers(settings: Settings) -> bool:
    """Whether the broker takes a connection, within two seconds or so."""
    if not settings.broker_url:
        return False
    if settings.broker_url.startswith("amqp"):
        return _rabbitmq_answers(settings.broker_url)
    return _redis_answers(settings.broker_url)


def _redis_answers(url: str) -> bool:
    client = Redis.from_url(
        url.replace("redis+socket://", "unix://"),
        socket_timeout=_WITHIN_S,
        socket_connect_timeout=_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except (OSError, RedisError):
        return False
    finally:
        client.close()


def _rabbitmq_answers(url: str) -> bool:
    from kombu.connection import Connection  # noqa: PLC0415 - 3 MB, and most have a Redis
    from kombu.exceptions import KombuError  # noqa: PLC0415 - the same

    broker: Any = Connection(url, connect_timeout=_WITHIN_S)  # type: ignore[no-untyped-call]
    try:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=_WITHIN_S)
    except (
        OSError,
        KombuError,
        # A login, or a virtual host, that it refuses is an error of a channel.
        *broker.connection_errors,
        *broker.channel_errors,
    ):
        return False
    finally:
        broker.release()
    return True
