"""Asking providers: many requests beside each other, each until it is answered or not.

All of it runs inside the event loop and touches no storage: what comes of a request is
handed out as a value.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pricing.plans import Item
from storage.findings.findings import Key
from worker.findings.provider_pauses import pause_of
from worker.findings.providers.errors import InDoubt, ProviderError
from worker.findings.providers.provider import (
    Answer,
    Deferred,
    Immediate,
    Person,
    Report,
)
from worker.findings.waterfall import Ask
from worker.infrastructure.outbound_limits.pauses import DOWN, Pause, Paused

if TYPE_CHECKING:
    from worker.findings.provider_limits import ProviderLimits

log = logging.getLogger(__name__)

_TRIES = 4
_BACKOFF_S = 0.1


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
    limits: "ProviderLimits",
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
                    await _ask(limits, provider, left.popleft(), emit)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(slots.count, len(left))):
            group.create_task(go_on())


async def _ask(
    limits: "ProviderLimits", provider: Immediate, request: Request, emit: Emit
) -> None:
    """Ask until everybody was answered, or trying on makes no sense."""
    answered = False
    tries = 0
    while tries < _TRIES:
        try:
            await limits.enter(provider.account)
            answers = await provider.look_up(request.persons, request.items)
        except Paused as paused:
            emit(Unanswered(request, paused.pause))
            return
        except ProviderError as error:
            answered = False
            tries += not await limits.note(provider.account, error)
            await asyncio.sleep(_BACKOFF_S * (1 << tries))
            continue
        await limits.succeeded(provider.account)
        emit(Answered(request, answers))
        request = request.without(answers)
        if not request.asks:
            return
        answered = True
        tries += 1
    emit(LeftOut(request) if answered else Unanswered(request, None))


@dataclass(frozen=True, slots=True)
class Submitted:
    """The provider's id of a request, None where nobody knows what became of it."""

    vendor_id: str | None


async def submit(
    limits: "ProviderLimits",
    provider: Deferred,
    request_id: str,
    request: Request,
    webhook_url: str | None,
) -> Submitted | Unanswered:
    """Send a request, once. `Unanswered` says that it has not arrived."""
    try:
        await limits.enter(provider.name)
    except Paused as paused:
        return Unanswered(request, paused.pause)
    try:
        vendor_id = await provider.submit(
            request_id, request.persons, request.items, webhook_url
        )
    except InDoubt as error:
        log.warning("%s of %s is in doubt: %s", request_id, provider.name, error)
        await limits.failed(provider.name, error.until_s)
        return Submitted(None)
    except ProviderError as error:
        await limits.note(provider.name, error)
        return Unanswered(request, pause_of(error) or Pause(DOWN, error.until_s or 0))
    await limits.succeeded(provider.name)
    return Submitted(vendor_id)


async def poll(
    limits: "ProviderLimits", provider: Deferred, vendor_id: str
) -> Report | None:
    """How a request stands; None where that is not to be had now."""
    try:
        await limits.enter(provider.name)
        return await provider.poll(vendor_id)
    except Paused as paused:
        log.info("%s is not asked about %s: %s", provider.name, vendor_id, paused)
    except ProviderError as error:
        await limits.note(provider.name, error)
    return None
