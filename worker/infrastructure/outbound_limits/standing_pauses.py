"""The pauses that stand, of all providers or connections, for operators to see."""

from redis import Redis

from worker.infrastructure.outbound_limits.pauses import Pause, names_key, pause_key
from worker.infrastructure.outbound_limits.redis_look import look_into


def pauses_of(redis_url: str | None, family: str) -> dict[str, Pause] | None:
    """Those of a family, by the name of a provider or the id of a connection.

    None where Redis does not answer; without a Redis nobody is paused.
    """
    if redis_url is None:
        return {}
    return look_into(redis_url).ask(lambda redis: _standing(redis, family))


def _standing(redis: Redis, family: str) -> dict[str, Pause]:
    names = [name.decode() for name in sorted(redis.sscan_iter(names_key(family)))]
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.get(pause_key(family, name))
            pipeline.pttl(pause_key(family, name))
        answers = pipeline.execute()
    return {
        name: Pause(reason.decode(), left_ms / 1000)
        for name, reason, left_ms in zip(
            names, answers[::2], answers[1::2], strict=True
        )
        if reason is not None and left_ms > 0
    }
