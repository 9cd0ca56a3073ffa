"""How much one key may ask, and how large a request may be."""

import logging
import math

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.problem_details import problem
from worker.infrastructure.clock import until_s
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.outbound_limits.redis_silence import (
    ANSWER_S,
    StillSilent,
    silence_of,
)
from worker.infrastructure.settings import Settings

log = logging.getLogger(__name__)


class RateLimit:
    """Counts the requests of each key, in Redis or, without one, in this process."""

    def __init__(self, settings: Settings) -> None:
        self._limit = RateLimitItemPerMinute(settings.rate_a_minute)
        self._shared = FixedWindowRateLimiter(_storage(settings.limits_url))
        self._silence = silence_of(settings.limits_url or "")
        self._own = FixedWindowRateLimiter(MemoryStorage())

    def count(self, key_id: str) -> None:
        """Count a request. Raises `Refused` with `rate_limited` above the limit."""
        try:
            wait_s = self._shared_wait_s(key_id)
        except Exception as error:  # noqa: BLE001 - whatever the store raises
            # Without its Redis a process goes on counting for itself.
            if not isinstance(error, StillSilent):
                log.warning("requests are counted by this process alone: %r", error)
            wait_s = self._wait_s(self._own, key_id)
        if wait_s:
            raise Refused(
                Code.RATE_LIMITED,
                f"this key may make {self._limit.amount} requests a minute",
                retry_after_s=wait_s,
            )

    def _shared_wait_s(self, key_id: str) -> int:
        """Count where all processes do. Raises where that does not answer."""
        self._silence.check()
        try:
            wait_s = self._wait_s(self._shared, key_id)
        except Exception:
            self._silence.start()
            raise
        self._silence.end()
        return wait_s

    def _wait_s(self, counted: FixedWindowRateLimiter, key_id: str) -> int:
        """Count a request: 0 lets it pass, else so long until the next one may."""
        if counted.hit(self._limit, "holdfast", key_id):
            return 0
        ends_at_s = counted.get_window_stats(self._limit, "holdfast", key_id).reset_time
        return max(1, math.ceil(until_s(ends_at_s)))


def _storage(url: str | None) -> Storage:
    if url is None:
        return MemoryStorage()
    # Its own scheme for a socket is redis+unix.
    storage = storage_from_string(
        url.replace("redis+socket://", "redis+unix://"),
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
    )
    assert isinstance(storage, Storage)  # noqa: S101 - for the type: no async scheme
    return storage


class BodyLimit:
    """Refuses bodies that are too large, by what they say and by what comes."""

    def __init__(self, app: ASGIApp, *, bytes_max: int, uploads: str) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on while it is small enough."""
        if scope["type"] != "http" or scope["path"] == self._uploads:
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._bytes_max:
            detail = f"the body is larger than {self._bytes_max} bytes"
            await problem(Code.TOO_LARGE, detail)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._bytes_max:
                detail = f"the body is larger than {self._bytes_max} bytes"
                # FastAPI lets no other exception of a body through.
                raise HTTPException(413, detail)
            return message

        return counted
