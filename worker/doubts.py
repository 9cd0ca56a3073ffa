"""What a try before this one was about to send, and nobody knows what became of."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import intents
from storage.chunks import TakenChunk
from storage.id_map import Key
from storage.intents import Intent
from worker.connectors import Kind
from worker.doings import Doings
from worker.inputs import parse
from worker.records import Record
from worker.wiring import Deps


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The intents of a chunk, which are all of its next `records`."""

    records: int
    intended: Mapping[Key, Intent]
    since: datetime

    def doings(self) -> Doings:
        """Where whoever comes to terms with it begins."""
        return Doings(again=True, sent_at=self.since, intended=self.intended)


def doubt_of(deps: Deps, chunk: TakenChunk, lines: Sequence[bytes]) -> Doubt | None:
    """What is in doubt of a chunk; None where nothing is.

    That is so of a half of a chunk that was split, where all was in the other one.
    """
    if chunk.doubted_at is None:
        return None
    with deps.database.transaction() as connection:
        intended = intents.of(connection, chunk.slice)
    first = chunk.first_line
    left = lines[chunk.cursor - first : chunk.stop - first]
    records = [priced.record for priced in parse(list(left))]
    reach = _reach(records, intended)
    if reach == 0:
        return None
    own = set(_keys(records[:reach]))
    return Doubt(
        records=reach,
        intended={key: intent for key, intent in intended.items() if key in own},
        since=chunk.doubted_at,
    )


def _reach(records: Sequence[Record], intended: Container[Key]) -> int:
    """Up to which of the records something was intended, counted from 1."""
    return max(
        (
            number
            for number, record in enumerate(records, start=1)
            if any(key in intended for key in _keys([record]))
        ),
        default=0,
    )


def _keys(records: Iterable[Record]) -> Iterator[Key]:
    """The companies and persons of some records."""
    for record in records:
        yield Key(Kind.COMPANY, record.company_id)
        if record.person_id is not None:
            yield Key(Kind.PERSON, record.person_id)
