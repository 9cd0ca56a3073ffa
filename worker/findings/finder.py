"""Finding: for persons of a chunk, what is known, what providers answer, or a wait.

Steps of the waterfall: what was found before is used again; who answers at once is
asked, many beside each other, and each answer is kept as it comes; who answers later is
sent a request that was remembered before, and the chunk waits without a worker. No
transaction is open while anybody is asked.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from pricing.findings import Finding
from pricing.plans import Item
from storage.findings import findings, lookups, provider_costs
from storage.findings.findings import Key, Memory
from storage.findings.lookups import Asked, NewLookup, Open
from storage.findings.provider_costs import Cost
from storage.held_jobs import PROVIDER_PAUSED, paused_providers
from storage.jobs import chunks
from storage.jobs.chunks import TakenChunk
from storage.state_machine import JobState
from worker.findings import provider_reports, provider_requests
from worker.findings.provider_registry import FindingDeps
from worker.findings.provider_requests import (
    Answered,
    LeftOut,
    Request,
    Result,
    Submitted,
    Unanswered,
)
from worker.findings.providers.provider import Answer, Deferred, Immediate
from worker.findings.waterfall import DIRECTORY, Ask, Wait, Waterfall, memories_of
from worker.infrastructure.clock import Every
from worker.infrastructure.ids import new_id
from worker.infrastructure.outbound_limits.pauses import DOWN, RATE_LIMITED
from worker.infrastructure.retry_policy import backoff_s

LOOKUP = "lookup"
"""Why a job waits: a provider has a request and will answer it."""

_DAY_S = 24 * 3600.0
_HELD_BY_ANOTHER_S = 2.0
_PAUSED_S = 60.0
"""How often is looked whether a provider is paused still: its resuming says so."""
_STORE_EVERY_S = 1.0
_FAILURES_MAX = 5
"""After so many runs a person whose request alone keeps failing is not found."""

Wanted = Mapping[Key, frozenset[Item]]
Stopped = Callable[[], bool]


class Finder:
    """Finds what a chunk wants to know, in one run of it."""

    def __init__(self, deps: FindingDeps, chunk: TakenChunk, stopped: Stopped) -> None:
        self._deps = deps
        self._chunk = chunk
        self._stopped = stopped
        self._job_stopped = False
        self._renewal = Every(min(_STORE_EVERY_S, deps.settings.lease_s / 4))
        # Nobody else runs this chunk: what it was asking when it ended is asked anew.
        with deps.database.transaction() as connection:
            lookups.let_go(connection, chunk.id)
            self._paused = paused_providers(connection)

    def find(self, asks: Sequence[Ask]) -> Mapping[Key, Finding] | Wait:
        """What is found of each at the accepted level; or why that takes time."""
        waterfall = Waterfall(asks, self._chunk.retrieve, self._chunk.email_level)
        if self._chunk.is_ending or self._chunk.is_to_conclude:
            return self._recalled(waterfall)
        self._recall(waterfall, self._expected(waterfall))
        for name in self._deps.providers.order:
            self._ask(waterfall, name)
            self._verify(waterfall)
            if self._is_stopped():
                return Wait(reason=None, left_s=0)
        return waterfall.wait() or waterfall.findings(self._deps.providers.order)

    def _recalled(self, waterfall: Waterfall) -> Mapping[Key, Finding]:
        """What is known already: for what is in doubt all was found before it was sent.

        Nobody is asked any more, nor waited for.
        """
        self._recall(waterfall, ())
        providers = self._deps.providers
        if DIRECTORY in providers.order:
            self._ask_directory(waterfall)
        return waterfall.findings(providers.order)

    def _is_stopped(self) -> bool:
        return self._job_stopped or self._stopped()

    # -- What is known, and what is expected.

    def _recall(self, waterfall: Waterfall, expected: Iterable[Open]) -> None:
        settings = self._deps.settings
        with self._deps.database.transaction() as connection:
            waterfall.block(findings.objected(connection, waterfall.persons))
            waterfall.note(
                findings.remembered(
                    connection,
                    waterfall.keys,
                    found_s=settings.findings_reuse_days * _DAY_S,
                    missed_s=settings.misses_reuse_days * _DAY_S,
                )
            )
        for one in expected:
            waterfall.expect(one.provider, one.asked.key, self._wait_for(one))

    def _wait_for(self, one: Open) -> Wait:
        if not one.deferred:
            return _AT_ONCE
        left_s = min(one.left_s, self._deps.settings.lookup_poll_s)
        wait = (
            _PAUSED
            if one.provider in self._paused
            else Wait(reason=LOOKUP, left_s=left_s)
        )
        return replace(wait, awaits=frozenset({one.lookup_id}))

    def _expected(self, waterfall: Waterfall) -> list[Open]:
        """Which answers are still to come, once those that are there were fetched."""
        provider_reports.expire(self._deps)
        expected = self._open(waterfall)
        return self._open(waterfall) if self._poll(expected) else expected

    def _open(self, waterfall: Waterfall) -> list[Open]:
        with self._deps.database.transaction() as connection:
            return lookups.open_for(connection, waterfall.keys)

    def _poll(self, expected: Sequence[Open]) -> bool:
        """Ask about requests that it is time to ask about; whether any were."""
        asked = {
            one.lookup_id: one.provider
            for one in expected
            if one.deferred and one.provider not in self._paused
        }
        if not asked:
            return False
        every_s = self._deps.settings.lookup_poll_s
        with self._deps.database.transaction() as connection:
            due = lookups.take_polls(connection, asked.keys(), every_s=every_s)
        providers = self._deps.providers
        for lookup_id, vendor_id in due:
            name = asked[lookup_id]
            provider = providers.deferred(name)
            if provider is not None:
                report = providers.event_loop.run(
                    provider_requests.poll(providers.limits, provider, vendor_id)
                )
                if report is not None:
                    provider_reports.take(self._deps, name, report)
        return bool(due)

    # -- The next provider.

    def _ask(self, waterfall: Waterfall, name: str) -> None:
        providers = self._deps.providers
        if name == DIRECTORY:
            self._ask_directory(waterfall)
        elif name in self._paused:
            provider = providers.deferred(name) or providers.immediate(name)
            items = provider.items if provider else ()
            waterfall.hold(waterfall.lacking(name, items), _PAUSED)
        elif (deferred := providers.deferred(name)) is not None:
            self._submit_all(waterfall, deferred)
        elif (immediate := providers.immediate(name)) is not None:
            self._ask_at_once(waterfall, immediate)

    def _ask_directory(self, waterfall: Waterfall) -> None:
        lacking = waterfall.lacking(DIRECTORY, self._chunk.retrieve)
        found = self._deps.directory.find({key.person_id for key in lacking})
        for key, items in lacking.items():
            if key.person_id in found:
                answer = Answer(finding=found[key.person_id])
                waterfall.note(memories_of(key, DIRECTORY, items, answer))

    def _new_lookup(self, provider: str, *, deferred: bool) -> NewLookup:
        settings = self._deps.settings
        at_once_s = settings.chunk_budget_s + settings.lease_s
        return NewLookup(
            id=new_id("lkp"),
            provider=provider,
            job_id=self._chunk.job_id,
            chunk_id=self._chunk.id,
            deferred=deferred,
            deadline_s=settings.lookup_deadline_s if deferred else at_once_s,
        )

    def _prepare(
        self, waterfall: Waterfall, new: NewLookup, wanted: Wanted
    ) -> set[Key]:
        """Remember a request; whom it is about, without those another asks about."""
        asked = [Asked(*key, item) for key, items in wanted.items() for item in items]
        with self._deps.database.transaction() as connection:
            mine = lookups.prepare(connection, new, asked)
        waterfall.hold(wanted.keys() - mine, _AT_ONCE)
        return mine

    # -- Those that answer at once.

    def _verify(self, waterfall: Waterfall) -> None:
        """Ask how good the addresses are that came without a status."""
        verifier = self._deps.providers.verifier
        if verifier is not None and not self._is_stopped():
            asks = waterfall.to_verify(verifier.name, verifier.account)
            if verifier.account in self._paused:
                waterfall.hold([ask.key for ask in asks], _PAUSED)
                return
            self._make(
                waterfall, verifier, [Request((ask,), verifier.items) for ask in asks]
            )

    def _ask_at_once(self, waterfall: Waterfall, provider: Immediate) -> None:
        lacking = waterfall.lacking(provider.name, provider.items)
        self._make(waterfall, provider, _requests(waterfall, lacking, provider))

    def _make(
        self, waterfall: Waterfall, provider: Immediate, requests: Sequence[Request]
    ) -> None:
        """Make requests about those whom nobody else is asking about."""
        if not requests:
            return
        new = self._new_lookup(provider.name, deferred=False)
        wanted = {key: request.items for request in requests for key in request.keys}
        mine = self._prepare(waterfall, new, wanted)
        left = [
            request.without(key.person_id for key in request.keys if key not in mine)
            for request in requests
        ]
        for results in self._results(provider, [one for one in left if one.asks]):
            self._keep(waterfall, provider, results)
        with self._deps.database.transaction() as connection:
            lookups.withdraw(connection, new.id)

    def _results(
        self, provider: Immediate, requests: Sequence[Request]
    ) -> Iterator[list[Result]]:
        providers = self._deps.providers
        work = partial(
            provider_requests.ask_all,
            providers.limits,
            provider,
            requests,
            slots=providers.slots(provider.account),
            stopped=self._is_stopped,
        )
        every_s = min(_STORE_EVERY_S, self._deps.settings.lease_s / 4)
        return providers.event_loop.stream(work, every_s=every_s)

    def _keep(
        self, waterfall: Waterfall, provider: Immediate, results: Sequence[Result]
    ) -> None:
        """Store answers as they come, and hold the chunk on."""
        fresh: list[Memory] = []
        paid, answers = Decimal(0), 0
        for result in results:
            match result:
                case Answered(request, answered):
                    fresh += _memories(provider.name, request, answered)
                    paid += sum((one.paid for one in answered.values()), Decimal(0))
                    answers += len(answered)
                case LeftOut(request):
                    waterfall.pass_over(provider.name, request.keys, request.items)
                case Unanswered():
                    self._go_without(waterfall, provider.name, result)
        with self._deps.database.transaction() as connection:
            findings.keep(connection, fresh)
            cost = Cost(provider.account, answers, paid)
            provider_costs.add(connection, self._chunk.job_id, cost)
        waterfall.note(fresh)
        self._hold_on()

    def _hold_on(self) -> None:
        """Renew the lease now and then, and see whether the job is to stop."""
        if not self._renewal.due():
            return
        with self._deps.database.transaction() as connection:
            standing = chunks.renew(
                connection, self._chunk, lease_s=self._deps.settings.lease_s
            )
            paused = paused_providers(connection)
        self._job_stopped = (
            standing.state is not JobState.RUNNING
            or standing.is_held
            # It looks again at once, and lets them wait who need it.
            or not paused <= self._paused
        )

    def _go_without(
        self, waterfall: Waterfall, provider: str, result: Unanswered
    ) -> None:
        """What becomes of persons whom a provider was not asked about."""
        request, pause = result.request, result.pause
        if pause is not None:
            wait = Wait(reason=pause.reason, left_s=pause.left_s)
            if pause.reason == RATE_LIMITED:
                # It is neither down nor out of credits: its turn is kept.
                waterfall.hold(request.keys, wait)
            else:
                waterfall.skip(request.keys, request.items, wait)
        elif self._chunk.failures >= _FAILURES_MAX:
            waterfall.pass_over(provider, request.keys, request.items)
        else:
            settings = self._deps.settings
            left_s = backoff_s(
                self._chunk.failures,
                base_s=settings.retry_base_s,
                max_s=settings.retry_max_s,
            )
            wait = Wait(reason=DOWN, left_s=left_s, error="Unavailable")
            waterfall.skip(request.keys, request.items, wait)

    # -- Those that answer later.

    def _submit_all(self, waterfall: Waterfall, provider: Deferred) -> None:
        for key, items in waterfall.lacking(provider.name, provider.items).items():
            # It takes no request that names none but such.
            if not waterfall.ask_of(key).person.can_be_asked_about:
                waterfall.pass_over(provider.name, [key], items)
        lacking = waterfall.lacking(provider.name, provider.items)
        for request in _requests(waterfall, lacking, provider):
            if self._is_stopped():
                return
            self._submit(waterfall, provider, request)

    def _submit(
        self, waterfall: Waterfall, provider: Deferred, request: Request
    ) -> None:
        new = self._new_lookup(provider.name, deferred=True)
        mine = self._prepare(waterfall, new, dict.fromkeys(request.keys, request.items))
        mine_alone = request.without(
            key.person_id for key in request.keys if key not in mine
        )
        if not mine:
            return
        providers = self._deps.providers
        result = providers.event_loop.run(
            provider_requests.submit(
                providers.limits,
                provider,
                new.id,
                mine_alone,
                webhook_url(self._deps, provider.name),
            )
        )
        with self._deps.database.transaction() as connection:
            match result:
                case Submitted(str(vendor_id)):
                    lookups.sent(connection, new.id, vendor_id)
                case Unanswered():
                    lookups.withdraw(connection, new.id)
        if isinstance(result, Unanswered):
            self._go_without(waterfall, provider.name, result)
        else:
            left_s = min(new.deadline_s, self._deps.settings.lookup_poll_s)
            wait = Wait(reason=LOOKUP, left_s=left_s, awaits=frozenset({new.id}))
            waterfall.hold(mine, wait)
        self._hold_on()


_AT_ONCE = Wait(reason=LOOKUP, left_s=_HELD_BY_ANOTHER_S)
"""Another asks about the same person just now."""

_PAUSED = Wait(reason=PROVIDER_PAUSED, left_s=_PAUSED_S)
"""Nobody is to ask the provider whose turn it is; the next one is not asked instead."""


def webhook_url(deps: FindingDeps, provider: str) -> str | None:
    """Where a provider reports to, where others can reach us."""
    public = deps.settings.public_url
    return f"{public.rstrip('/')}/v1/hooks/{provider}" if public else None


def _memories(
    provider: str, request: Request, answered: Mapping[str, Answer]
) -> list[Memory]:
    return [
        memory
        for key in request.keys
        if key.person_id in answered
        for memory in memories_of(key, provider, request.items, answered[key.person_id])
    ]


def _requests(
    waterfall: Waterfall, wanted: Wanted, provider: Immediate | Deferred
) -> list[Request]:
    """Persons of whom the same is wanted together; answers tell them by their id."""
    alike: dict[tuple[frozenset[Item], int], list[Ask]] = defaultdict(list)
    times: dict[str, int] = defaultdict(int)
    for key, items in wanted.items():
        alike[items, times[key.person_id]].append(waterfall.ask_of(key))
        times[key.person_id] += 1
    return [
        Request(asks, items)
        for (items, _), all_asks in alike.items()
        for asks in _cut(all_asks, provider.persons_max)
    ]


def _cut(asks: Sequence[Ask], size: int) -> Iterator[tuple[Ask, ...]]:
    for start in range(0, len(asks), size):
        yield tuple(asks[start : start + size])
