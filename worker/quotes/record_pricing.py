"""Pricing a stream of records: duplicates, entitlements, frozen prices, the input.

Records pass through in blocks. For some blocks together one query says which persons
the directory knows and one what has been paid for; nothing is written while a
transaction is open.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice

from pricing.claims import AskedColumns, Entitlements
from pricing.quote import Recurring, Tally
from storage.database import Database
from storage.findings import directory
from storage.ledger import entitlements
from worker.infrastructure.errors import bad
from worker.quotes.chunk_slices import InputWriter
from worker.quotes.decided_records import Decided, price_again
from worker.quotes.intake import taken_in
from worker.quotes.kept_records import Kept, KeptRecords
from worker.quotes.quoted_kind import QuoteCheck
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.record_columns import Records

_BATCH_BLOCKS = 5


def price_all(
    database: Database,
    license_id: str,
    reading: Reading | Kept | Decided,
    tally: Tally,
    writer: InputWriter,
    *,
    check: QuoteCheck,
    records_max: int,
    bytes_max: int,
) -> None:
    """Price every record but those that are left out, and write all to the input.

    Raises `BadInput` with the first problems once the whole file has been read: then
    the input must not be kept. Raises `Refused` where there are too many.
    """
    if isinstance(reading, Decided):
        price_again(database, license_id, reading, tally, writer, check=check)
        return
    pricing = _Pricing(database, license_id, tally, writer, check)
    if isinstance(reading, Kept):
        pricing.price(reading.blocks)
    else:
        with taken_in(
            reading.blocks,
            records_max,
            skip_bad=False,
            bytes_max=bytes_max,
            noticed=reading.noticed,
        ) as intake:
            intake.problems.raise_if_any()
            pricing.price(intake.blocks())
            tally.trimmed += intake.trimmed
            tally.duplicates += intake.duplicates
    writer.flush()
    if tally.records == 0:
        raise bad(None, "there are no records")


class _Pricing:
    """Prices the records of one quote."""

    def __init__(
        self,
        database: Database,
        license_id: str,
        tally: Tally,
        writer: InputWriter,
        check: QuoteCheck,
    ) -> None:
        self._database = database
        self._license_id = license_id
        self._tally = tally
        self._writer = writer
        self._check = check

    def price(self, blocks: Iterable[KeptRecords]) -> None:
        """Price all blocks, none of which has a duplicate."""
        rest = iter(blocks)
        while batch := list(islice(rest, _BATCH_BLOCKS)):
            known, paid = self._look_up([kept.records for kept in batch])
            for records, recurring in batch:
                self._price_block(records, recurring, known, paid)

    def _price_block(
        self,
        records: Records,
        recurring: Recurring,
        known: AbstractSet[str],
        paid: Entitlements,
    ) -> None:
        self._check.look_at(records)
        left_out = self._check.left_out(records)
        # Where nothing of a person is asked for, nobody has to be told from another.
        is_known = (
            list(map(known.__contains__, records.person_ids))
            if self._tally.retrieve
            else [True] * len(records)
        )
        asked = AskedColumns(
            records.numbers,
            records.company_ids,
            records.person_ids,
            is_known,
            lambda: records.digests,
        )
        claims = self._tally.price_all(
            asked, paid, recurring=recurring, left_out=left_out
        )
        self._writer.add(records, claims, self._tally.patterns.all)

    def _look_up(
        self, batch: Sequence[Records]
    ) -> tuple[AbstractSet[str], Entitlements]:
        """Whom the directory knows, and what has been paid for."""
        tally = self._tally
        companies = set().union(*(records.company_ids for records in batch))
        persons: set[str] = set()
        if tally.retrieve:
            columns = [records.person_ids for records in batch]
            persons = set(filter(None, chain.from_iterable(columns)))
        with self._database.reading() as connection:
            known = directory.known(connection, persons)
            paid = entitlements.paid(
                connection,
                self._license_id,
                tally.terms.window_starts(tally.quoted_at),
                companies=companies,
                persons=persons,
                items=tally.retrieve,
            )
        return known, paid
