"""The prefetch: findings of a chunk's next batches, before they are delivered.

So that requests run beside each other over more persons than a batch has, and stand
still for no checkpoint: while one window of records is delivered two more are looked
up, each in a thread, and the second goes on where the first has only stragglers left.
With the directory alone each batch looks up its own.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from pricing.findings import Finding, accepted
from pricing.plans import Item
from storage.findings.findings import Key
from storage.jobs.chunks import TakenChunk
from worker.findings.batch_contents import Contents, key_of
from worker.findings.finder import Finder, Stopped
from worker.findings.provider_registry import FindingDeps
from worker.findings.providers.provider import Person
from worker.findings.waterfall import Ask, Wait
from worker.quotes import erased_persons
from worker.quotes.priced_records import PricedRecord, parse

_RECORDS = 1000
"""A window."""

_WINDOWS = 2
"""So many are looked up at once: what a job that is cancelled wastes at most."""

Found = Mapping[Key, Finding]
_Window = tuple[int, Found | Wait]
"""Where it ends, and what came of it."""


class LookupPrefetch:
    """The findings of one run of a chunk; `lines` are those of its slice.

    Used in a `with`, which at its end lets no look-up go on.
    """

    def __init__(
        self,
        deps: FindingDeps,
        chunk: TakenChunk,
        lines: Sequence[bytes],
        stopped: Stopped,
    ) -> None:
        self._deps = deps
        self._chunk = chunk
        self._lines = lines
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
        first = self._chunk.first_line
        records = list(parse(list(self._lines[start - first : stop - first])))
        erased = erased_persons.blocked(self._deps, self._chunk.license_id, records)
        records = erased_persons.without(records, erased)
        return Contents(records, erased, self._of(records, erased))

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
            start, first = self._begun, self._chunk.first_line
            self._begun = min(start + _RECORDS, self._chunk.stop)
            lines = self._lines[start - first : self._begun - first]
            asks = self._asks_of(lines)
            self._windows.append(
                self._threads.submit(self._find, finder, self._begun, asks)
            )

    def _asks_of(self, lines: Sequence[bytes]) -> list[Ask]:
        """Whom to look up, without those that a window before this looks up."""
        records = list(parse(list(lines)))
        erased = erased_persons.blocked(self._deps, self._chunk.license_id, records)
        asks = [ask for ask in _asks(records, erased) if ask.key not in self._asked]
        self._asked.update(ask.key for ask in asks)
        return asks

    @staticmethod
    def _find(finder: Finder, until: int, asks: Sequence[Ask]) -> _Window:
        return until, finder.find(asks)

    def _of(self, records: Sequence[PricedRecord], erased: set[str]) -> Found:
        """What may be disclosed of persons; of those who were erased nothing."""
        asks = _asks(records, erased)
        if not self._chunk.retrieve or not asks:
            return {}
        found: Found = self._found if self._finder else self._in_directory(asks)
        return {
            ask.key: self._accepted(found[ask.key]) for ask in asks if ask.key in found
        }

    def _in_directory(self, asks: Sequence[Ask]) -> Found:
        if not self._deps.providers.order:
            return {}
        persons = [ask.person for ask in asks]
        found = self._deps.directory.find(persons, self._chunk.retrieve)
        return {ask.key: found[ask.person.id] for ask in asks if ask.person.id in found}

    def _accepted(self, finding: Finding) -> Finding:
        return accepted(
            finding,
            self._chunk.email_level,
            email=Item.EMAIL in self._chunk.retrieve,
            phone=Item.PHONE in self._chunk.retrieve,
        )


def _asks(records: Sequence[PricedRecord], erased: set[str]) -> list[Ask]:
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
        for priced in records
        for record in (priced.record,)
        if record.person_id is not None
        and record.person_id not in erased
        and not priced.is_left_out
    ]
