"""The prefetch: findings of a chunk's next batches, before they are delivered.

So that requests run beside each other over more persons than a batch has, and stand
still for no checkpoint: while one window of records is delivered two more are looked
up, each in a thread, and the second goes on where the first has only stragglers left.
With the directory alone each batch looks up its own.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from types import TracebackType
from typing import Self

from pricing.findings import NOTHING, Finding, FoundColumns
from pricing.plans import Item
from storage.findings.findings import Key
from storage.jobs.chunks import TakenChunk
from worker.findings.batch_contents import Contents, key_of, keys_of
from worker.findings.finder import Finder, Stopped
from worker.findings.provider_registry import FindingDeps
from worker.findings.providers.provider import Person
from worker.findings.waterfall import Ask, Wait
from worker.quotes import erased_persons
from worker.quotes.priced_records import PricedRecords

_RECORDS = 1000
"""A window."""

_WINDOWS = 2
"""So many are looked up at once: what a job that is cancelled wastes at most."""

Found = Mapping[Key, Finding]
_Window = tuple[int, Found | Wait]
"""Where it ends, and what came of it."""


class LookupPrefetch:
    """The findings of one run of a chunk; `records` are those of its slice.

    Used in a `with`, which at its end lets no look-up go on.
    """

    def __init__(
        self,
        deps: FindingDeps,
        chunk: TakenChunk,
        records: PricedRecords,
        stopped: Stopped,
    ) -> None:
        self._deps = deps
        self._chunk = chunk
        self._records = records
        self._left = Event()
        self._finder = (
            Finder(deps, chunk, lambda: self._left.is_set() or stopped())
            if deps.providers.any and chunk.retrieve
            else None
        )
        self._found: dict[Key, Finding] = {}
        self._until = chunk.cursor
        self._begun = chunk.cursor
        self._asked: set[Key] = set()
        self._threads = ThreadPoolExecutor(_WINDOWS, "prefetch")
        self._windows: deque[Future[_Window]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def contents(self, start: int, stop: int) -> Contents | Wait:
        """What a batch holds, once all of it was looked up; or why that takes time.

        Of persons who were erased only the ids are left.
        """
        wait = self._reach(stop)
        if wait is not None:
            return wait
        records = self._part(start, stop)
        erased = erased_persons.blocked(self._deps, self._chunk.license_id, records)
        records = records.with_ids_alone(erased)
        return Contents(records, erased, self._of(records, erased))

    def _part(self, start: int, stop: int) -> PricedRecords:
        """Records by their positions in the job's input."""
        first = self._chunk.first_line
        return self._records.part(start - first, stop - first)

    def _reach(self, stop: int) -> Wait | None:
        """Find what the records up to `stop` need, and more; or why that takes time."""
        if self._finder is None:
            return None
        while self._until < stop:
            self._begin(self._finder)
            self._until, found = self._windows.popleft().result()
            if isinstance(found, Wait):
                return found
            self._found.update(found)
        self._begin(self._finder)
        return None

    def _begin(self, finder: Finder) -> None:
        """Look up as many windows as may be looked up at once."""
        while len(self._windows) < _WINDOWS and self._begun < self._chunk.stop:
            start = self._begun
            self._begun = min(start + _RECORDS, self._chunk.stop)
            asks = self._asks_of(self._part(start, self._begun))
            self._windows.append(
                self._threads.submit(
                    copy_context().run, self._find, finder, self._begun, asks
                )
            )

    def _asks_of(self, records: PricedRecords) -> list[Ask]:
        """Whom to look up, without those that a window before this looks up."""
        erased = erased_persons.blocked(self._deps, self._chunk.license_id, records)
        asks = [ask for ask in _asks(records, erased) if ask.key not in self._asked]
        self._asked.update(ask.key for ask in asks)
        return asks

    @staticmethod
    def _find(finder: Finder, until: int, asks: Sequence[Ask]) -> _Window:
        return until, finder.find(asks)

    def _of(self, records: PricedRecords, erased: set[str]) -> FoundColumns:
        """What may be disclosed of persons; of those who were erased nothing."""
        if not self._chunk.retrieve:
            return FoundColumns.nothing(len(records))
        found = (
            FoundColumns.of(
                NOTHING if key.person_id in erased else self._found.get(key, NOTHING)
                for key in keys_of(records)
            )
            if self._finder is not None
            else self._in_directory(records, erased)
        )
        return found.accepted(
            self._chunk.email_level,
            email=Item.EMAIL in self._chunk.retrieve,
            phone=Item.PHONE in self._chunk.retrieve,
        )

    def _in_directory(self, records: PricedRecords, erased: set[str]) -> FoundColumns:
        """What the directory alone knows, which answers by ids."""
        if not self._deps.providers.order:
            return FoundColumns.nothing(len(records))
        asks = [bool(claims) for claims in records.patterns]
        persons = zip(records.person_ids, records.claims, strict=True)
        return self._deps.directory.columns(
            [
                None if one in erased or not asks[claims] else one
                for one, claims in persons
            ]
        )


def _asks(records: PricedRecords, erased: set[str]) -> list[Ask]:
    return [
        Ask(
            key_of(priced),
            Person(
                id=record.person_id,
                first_name=record.text("first_name"),
                last_name=record.text("last_name"),
                company_domain=record.text("company_domain"),
                company_name=record.text("company_name"),
            ),
        )
        for priced in records.each()
        for record in (priced.record,)
        if record.person_id is not None
        and record.person_id not in erased
        and not priced.is_left_out
    ]
