"""Pricing a stream of records: duplicates, entitlements, frozen prices, the input.

Records pass through in batches: for each, one query says which persons the directory
knows and one what has been paid for; nothing is written while a transaction is open.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from pricing.claims import KNOWN, Entitlements
from pricing.quote import Tally
from storage.database import Database
from storage.findings import directory
from storage.ledger import entitlements
from worker.infrastructure.errors import bad
from worker.quotes.chunk_slices import InputWriter
from worker.quotes.decided_records import Decided, price_again
from worker.quotes.problems import Problems, limited
from worker.quotes.quoted_kind import QuoteCheck
from worker.quotes.readers.reader import Reading
from worker.quotes.readers.records import Kept, KeptRecord, Record

_BATCH_RECORDS = 5_000


def price_all(
    database: Database,
    license_id: str,
    reading: Reading | Kept | Decided,
    tally: Tally,
    writer: InputWriter,
    *,
    check: QuoteCheck,
    records_max: int,
) -> None:
    """Price every record but those that are left out, and write all to the input.

    Raises `BadInput` with the first problems once the whole file has been read: then
    the input must not be kept. Raises `Refused` where there are too many.
    """
    if isinstance(reading, Decided):
        price_again(database, license_id, reading, tally, writer, check=check)
        return
    problems = Problems()
    rows: Iterator[Record | KeptRecord] = (
        reading.rows
        if isinstance(reading, Kept)
        else problems.filter(limited(reading.rows, records_max))
    )
    while batch := list(islice(rows, _BATCH_RECORDS)):
        if problems.total:
            continue
        if isinstance(reading, Kept):
            fresh = batch
        else:
            tally.trimmed += sum(map(_is_trimmed, batch))
            fresh = [record for record in batch if not tally.is_duplicate(record)]
        check.look_at(fresh)
        left_out = check.left_out(fresh)
        _price_batch(database, license_id, fresh, tally, writer, left_out=left_out)
    writer.flush()
    problems.raise_if_any()
    if tally.records == 0:
        raise bad(None, "there are no records")


def _is_trimmed(record: Record | KeptRecord) -> bool:
    return isinstance(record, Record) and record.trimmed


def _price_batch(
    database: Database,
    license_id: str,
    batch: Sequence[Record | KeptRecord],
    tally: Tally,
    writer: InputWriter,
    *,
    left_out: AbstractSet[int],
) -> None:
    asking = (
        [record for record in batch if record.number not in left_out]
        if left_out
        else batch
    )
    known, paid = _look_up(database, license_id, asking, tally)
    for record in batch:
        if record.number in left_out:
            tally.leave_out()
            writer.add(record, KNOWN, ())
            continue
        person_id = record.person_id
        retrieves = tally.retrieve and person_id is not None
        own = record.digest if retrieves else KNOWN
        by_id = not retrieves or person_id in known
        claims = tally.price(record.number, record, KNOWN if by_id else own, paid)
        writer.add(record, own, claims)


def _look_up(
    database: Database,
    license_id: str,
    batch: Sequence[Record | KeptRecord],
    tally: Tally,
) -> tuple[AbstractSet[str], Entitlements]:
    """Whom the directory knows, and what has been paid for."""
    companies = {record.company_id for record in batch}
    persons = (
        {record.person_id for record in batch if record.person_id is not None}
        if tally.retrieve
        else set()
    )
    with database.transaction() as connection:
        known = directory.known(connection, persons)
        paid = entitlements.paid(
            connection,
            license_id,
            tally.terms.window_starts(tally.quoted_at),
            companies=companies,
            persons=persons,
            items=tally.retrieve,
        )
    return known, paid
