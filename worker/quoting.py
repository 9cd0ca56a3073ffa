"""Pricing a stream of records: duplicates, entitlements, frozen prices, the input.

Records pass through in batches: for each, one query says which persons the directory
knows and one what has been paid for; nothing is written while a transaction is open.
"""

from itertools import islice

from pricing.claims import KNOWN, Asked, Entitlements, lookup_digest
from pricing.quote import Tally
from storage import directory, entitlements
from storage.db import Database
from worker.checking import Problems
from worker.errors import bad
from worker.inputs import InputWriter
from worker.readers import Reading
from worker.records import Record

_BATCH_RECORDS = 5_000


def price_all(
    database: Database,
    license_id: str,
    reading: Reading,
    tally: Tally,
    writer: InputWriter,
) -> None:
    """Price every record and write it to the job's input.

    Raises `BadInput` with the first problems once the whole file has been read: then
    the input must not be kept.
    """
    problems = Problems()
    rows = problems.filter(reading.rows)
    while batch := list(islice(rows, _BATCH_RECORDS)):
        if not problems.total:
            _price_batch(database, license_id, batch, tally, writer)
    writer.flush()
    problems.raise_if_any()
    if tally.records == 0:
        raise bad(None, "the file has no records", line=2)


def _price_batch(
    database: Database,
    license_id: str,
    batch: list[Record],
    tally: Tally,
    writer: InputWriter,
) -> None:
    fresh: list[tuple[Record, str | None]] = []
    for record in batch:
        person_id = record.person_id
        if not tally.is_duplicate(Asked(record.company_id, person_id)):
            fresh.append((record, person_id))
    persons = {person_id for _, person_id in fresh if person_id is not None}
    companies = {record.company_id for record, _ in fresh}
    known, paid = _look_up(database, license_id, companies, persons, tally)
    for record, person_id in fresh:
        digest = _digest(record, person_id, known)
        asked = Asked(record.company_id, person_id, digest)
        writer.add(record, tally.price(record.number, asked, paid))


def _look_up(
    database: Database,
    license_id: str,
    companies: set[str],
    persons: set[str],
    tally: Tally,
) -> tuple[set[str], Entitlements]:
    with database.transaction() as connection:
        known = directory.known(connection, persons) if tally.retrieve else set()
        paid = entitlements.paid(
            connection,
            license_id,
            tally.terms.window_starts(tally.quoted_at),
            companies=companies,
            persons=persons,
            items=tally.retrieve,
        )
    return known, paid


def _digest(record: Record, person_id: str | None, known: set[str]) -> str:
    if person_id is None or person_id in known:
        return KNOWN
    return lookup_digest(
        record.text("first_name"),
        record.text("last_name"),
        record.text("company_domain"),
    )
