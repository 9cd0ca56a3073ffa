"""Asking providers: many requests beside each other, each until it is answered or not.

All of it runs inside the event loop and touches no storage: what comes of a request is
handed out as a value.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pricing.plans import Item
from storage.findings.findings import Key
from worker.findings.providers.errors import (
    InDoubt,
    Misconfigured,
    OutOfCredits,
    ProviderError,
    RateLimited,
)
from worker.findings.providers.provider import (
    Answer,
    Deferred,
    Immediate,
    Person,
    Report,
)
from worker.findings.waterfall import Ask
from worker.infrastructure.pauses import (
    DOWN,
    MISCONFIGURED,
    OUT_OF_CREDITS,
    RATE_LIMITED,
    Pause,
    Paused,
)
from worker.infrastructure.rate_limiter import RateLimiter

log = logging.getLogger(__name__)

_TRIES = 4
_BACKOFF_S = 0.1
_RATE_LIMITED_S = 10.0
_OUT_OF_CREDITS_S = 600.0
_MISCONFIGURED_S = 300.0


@dataclass(frozen=True, slots=True)
class Request:
    """Persons asked about at once, and for what."""

    asks: tuple[Ask, ...]
    items: frozenset[Item]

    @property
    def persons(self) -> list[Person]:
        """Whom it names, nobody twice."""
        return [ask.person for ask in self.asks]

    @property
    def keys(self) -> list[Key]:
        """What its answers are remembered by."""
        return [ask.key for ask in self.asks]

    def without(self, ids: Iterable[str]) -> "Request":
        """What is left of it."""
        gone = set(ids)
        return replace(
            self, asks=tuple(ask for ask in self.asks if ask.key.person_id not in gone)
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What a provider said about some of a request's persons."""

    request: Request
    answers: Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Persons about whom a provider says nothing, however often it is asked."""

    request: Request


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A provider could not be asked; without a pause it failed at this alone."""

    request: Request
    pause: Pause | None


class Slots:
    """How many requests this process makes of one provider at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.free = asyncio.Semaphore(count)


Result = Answered | LeftOut | Unanswered
Emit = Callable[[Result], None]


async def ask_all(
    limiter: RateLimiter,
    provider: Immediate,
    requests: Sequence[Request],
    emit: Emit,
    *,
    slots: Slots,
    stopped: Callable[[], bool],
) -> None:
    """Make requests beside each other until all are done or it is to stop.

    As many at once as there are slots, with those of whoever else shares them.
    """
    left = deque(requests)

    async def go_on() -> None:
        while left and not stopped():
            async with slots.free:
                if left:
                    await _ask(limiter, provider, left.popleft(), emit)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(slots.count, len(left))):
            group.create_task(go_on())


async def _ask(
    limiter: RateLimiter, provider: Immediate, request: Request, emit: Emit
) -> None:
    """Ask until everybody was answered, or trying on makes no sense."""
    answered = False
    tries = 0
    while tries < _TRIES:
        try:
            await limiter.enter(provider.account)
            answers = await provider.look_up(request.persons, request.items)
        except Paused as paused:
            emit(Unanswered(request, paused.pause))
            return
        except ProviderError as error:
            answered = False
            tries += not await note(limiter, provider.account, error)
            await asyncio.sleep(_BACKOFF_S * (1 << tries))
            continue
        await limiter.succeeded(provider.account)
        emit(Answered(request, answers))
        request = request.without(answers)
        if not request.asks:
            return
        answered = True
        tries += 1
    emit(LeftOut(request) if answered else Unanswered(request, None))


async def note(limiter: RateLimiter, provider: str, error: ProviderError) -> bool:
    """Let all workers know of an error; whether it pauses the provider as such."""
    pause = _pause_of(error)
    if pause is None:
        log.info("%s: %s", provider, error)
        await limiter.failed(provider, error.until_s)
        return False
    if isinstance(error, Misconfigured):
        log.critical("%s refuses us: %s", provider, error)
    await limiter.pause(provider, pause)
    return True


def _pause_of(error: ProviderError) -> Pause | None:
    for kind, reason, default_s in (
        (RateLimited, RATE_LIMITED, _RATE_LIMITED_S),
        (OutOfCredits, OUT_OF_CREDITS, _OUT_OF_CREDITS_S),
        (Misconfigured, MISCONFIGURED, _MISCONFIGURED_S),
    ):
        if isinstance(error, kind):
            return Pause(reason, default_s if error.until_s is None else error.until_s)
    return None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The provider's id of a request, None where nobody knows what became of it."""

    vendor_id: str | None


async def submit(
    limiter: RateLimiter,
    provider: Deferred,
    request_id: str,
    request: Request,
    webhook_url: str | None,
) -> Submitted | Unanswered:
    """Send a request, once. `Unanswered` says that it has not arrived."""
    try:
        await limiter.enter(provider.name)
    except Paused as paused:
        return Unanswered(request, paused.pause)
    try:
        vendor_id = await provider.submit(
            request_id, request.persons, request.items, webhook_url
        )
    except InDoubt as error:
        log.warning("%s of %s is in doubt: %s", request_id, provider.name, error)
        await limiter.failed(provider.name, error.until_s)
        return Submitted(None)
    except ProviderError as error:
        await note(limiter, provider.name, error)
        return Unanswered(request, _pause_of(error) or Pause(DOWN, error.until_s or 0))
    await limiter.succeeded(provider.name)
    return Submitted(vendor_id)


async def poll(
    limiter: RateLimiter, provider: Deferred, vendor_id: str
) -> Report | None:
    """How a request stands; None where that is not to be had now."""
    try:
        await limiter.enter(provider.name)
        return await provider.poll(vendor_id)
    except Paused as paused:
        log.info("%s is not asked about %s: %s", provider.name, vendor_id, paused)
    except ProviderError as error:
        await note(limiter, provider.name, error)
    return None
