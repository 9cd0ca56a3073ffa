"""Looking ahead: the findings of a chunk's next batches, before they are delivered.

So that requests run beside each other over more persons than a batch has, and stand
still for no checkpoint: while one window of records is delivered, a thread looks up the
next. With the directory alone each batch looks up its own.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from pricing.claims import KNOWN
from pricing.findings import Finding, accepted
from pricing.plans import Item
from storage.chunks import TakenChunk
from storage.findings import Key
from worker import blocking
from worker.finding import Finder, Stopped
from worker.inputs import PricedRecord, parse
from worker.providers import Person
from worker.waterfall import Ask, Wait
from worker.wiring import Deps

_RECORDS = 1000
"""A window. At most two of them are wasted on a job that is cancelled."""

Found = Mapping[Key, Finding]
_Window = tuple[int, Found | Wait]
"""Where it ends, and what came of it."""


class Ahead:
    """The findings of one run of a chunk; `lines` are those of its slice.

    Used in a `with`, which at its end lets no look-up go on.
    """

    def __init__(
        self, deps: Deps, chunk: TakenChunk, lines: Sequence[bytes], stopped: Stopped
    ) -> None:
        self._deps = deps
        self._chunk = chunk
        self._lines = lines
        self._left = Event()
        self._finder = (
            Finder(deps, chunk, lambda: self._left.is_set() or stopped())
            if deps.vendors.any and chunk.retrieve
            else None
        )
        self._found: dict[Key, Finding] = {}
        self._until = chunk.cursor
        self._thread = ThreadPoolExecutor(1, "ahead")
        self._next: Future[_Window] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._thread.shutdown(wait=True)

    def reach(self, stop: int) -> Wait | None:
        """Find what the records up to `stop` need, and more; or why that takes time."""
        if self._finder is None:
            return None
        while self._until < stop:
            window = self._next or self._begin(self._finder)
            self._until, found = window.result()
            if isinstance(found, Wait):
                return found
            self._found.update(found)
            more = self._until < self._chunk.stop
            self._next = self._begin(self._finder) if more else None
        return None

    def _begin(self, finder: Finder) -> Future[_Window]:
        return self._thread.submit(self._find, finder, self._until)

    def _find(self, finder: Finder, start: int) -> _Window:
        until = min(start + _RECORDS, self._chunk.stop)
        first = self._chunk.first_line
        records = list(parse(list(self._lines[start - first : until - first])))
        erased = blocking.blocked(self._deps, self._chunk.license_id, records)
        return until, finder.find(_asks(records, erased))

    def of(self, records: Sequence[PricedRecord], erased: set[str]) -> Found:
        """What may be disclosed of persons; of those who were erased nothing."""
        asks = _asks(records, erased)
        if not self._chunk.retrieve or not asks:
            return {}
        found: Found = self._found if self._finder else self._in_directory(asks)
        return {
            ask.key: self._accepted(found[ask.key]) for ask in asks if ask.key in found
        }

    def _in_directory(self, asks: Sequence[Ask]) -> Found:
        if not self._deps.vendors.order:
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


def key_of(priced: PricedRecord) -> Key:
    """What a record's person is looked up by, as it was priced."""
    digest = next(
        (claim.digest for claim in priced.claims if claim.item is not Item.COMPANY),
        KNOWN,
    )
    return Key(priced.record.person_id or "", digest)


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
