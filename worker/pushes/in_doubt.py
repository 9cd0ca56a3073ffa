"""What a try before this one was about to send, and nobody knows what became of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.connections.id_map import Key
from storage.jobs.chunks import TakenChunk
from storage.pushes import intents
from storage.pushes.intents import Intent
from worker.connections.connectors.connector import Kind
from worker.infrastructure.dependencies import Deps
from worker.pushes.batch_progress import BatchProgress
from worker.quotes.priced_records import PricedRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What a chunk was about to do with its next `records`, which are one batch."""

    records: int
    intended: Mapping[Key, Intent]
    since: datetime

    def begun(self) -> BatchProgress:
        """Where whoever comes to terms with it begins."""
        return BatchProgress(again=True, sent_at=self.since, intended=self.intended)


def doubt_of(deps: Deps, chunk: TakenChunk, records: PricedRecords) -> Doubt | None:
    """What is in doubt of a chunk; None where nothing is.

    That is so also of a half of a chunk that was split, where all was in the other one.
    """
    if chunk.doubted_at is None or chunk.doubt_stop is None:
        return None
    with deps.database.transaction() as connection:
        intended = intents.of(connection, chunk.slice)
    stop, first = min(chunk.doubt_stop, chunk.stop), chunk.first_line
    own = set(_keys(records.part(chunk.cursor - first, stop - first)))
    mine = {key: intent for key, intent in intended.items() if key in own}
    if not mine:
        return None
    return Doubt(records=stop - chunk.cursor, intended=mine, since=chunk.doubted_at)


def _keys(records: PricedRecords) -> Iterator[Key]:
    """The companies and persons of some records."""
    for company_id in records.company_ids:
        yield Key(Kind.COMPANY, company_id)
    for person_id in records.person_ids:
        if person_id is not None:
            yield Key(Kind.PERSON, person_id)
