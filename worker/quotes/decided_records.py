"""Records that are quoted once more, for a retry: what was decided stays decided.

What a filter left out stays left out, a digest stays the one that its record asked
with, and no claim costs more than it was quoted at: what was free is free, and what the
jobs before have settled is not paid for again, however long ago that was. So a job and
its retries together cost at most its quote, and deliver what it would have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pricing.claims import KNOWN, AskedColumns, Entitlement, Entitlements
from pricing.plans import Item, Terms
from pricing.quote import Tally
from storage.database import Database
from storage.ledger import charges, entitlements
from storage.ledger.charges import ClaimKey
from worker.quotes.chunk_slices import InputWriter
from worker.quotes.priced_records import PricedRecord, subject_of
from worker.quotes.problems import Problems
from worker.quotes.quoted_kind import QuoteCheck
from worker.quotes.readers.record_columns import Records, Row, gathered
from worker.quotes.readers.records import record_of

_BATCH_RECORDS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Some records of a job as they were quoted, with its terms.

    `job_ids` name the job and, where it is a retry itself, those before it.
    """

    columns: Sequence[str]
    rows: Iterator[PricedRecord]
    terms: Terms
    job_ids: Sequence[str]
    duplicates: int = 0
    trimmed: int = 0


def price_again(
    database: Database,
    license_id: str,
    decided: Decided,
    tally: Tally,
    writer: InputWriter,
    *,
    check: QuoteCheck,
) -> None:
    """Price every record but those that were left out, and write all to the input."""
    problems = Problems()
    while batch := list(islice(decided.rows, _BATCH_RECORDS)):
        free = _free(database, license_id, decided, batch, tally)
        rows = gathered((priced.record.number, _trimmed(priced)) for priced in batch)
        for found in rows.bad.values():
            problems.add(found)
        tally.trimmed += rows.trimmed
        check.look_at(rows.records)
        if not problems.total:
            _price_batch(rows.records, batch, free, tally, writer)
    writer.flush()
    problems.raise_if_any()


def _price_batch(
    records: Records,
    batch: Sequence[PricedRecord],
    free: Entitlements,
    tally: Tally,
    writer: InputWriter,
) -> None:
    """Price some records, all of which are there with their ids as they should be."""
    asked = AskedColumns.by_digests(
        records.numbers,
        records.company_ids,
        records.person_ids,
        list(map(_digest_of, batch)),
    )
    left_out = {priced.record.number for priced in batch if priced.is_left_out}
    claims = tally.price_all(asked, free, left_out=left_out)
    writer.add(records, claims, tally.patterns.all)


def _trimmed(priced: PricedRecord) -> Row:
    """A record of a job of before, whose ids may have white space around them."""
    record = priced.record
    return record_of(record.number, record.number, record.fields)


def _free(
    database: Database,
    license_id: str,
    decided: Decided,
    batch: Sequence[PricedRecord],
    tally: Tally,
) -> Entitlements:
    """What is free now, was free before, or was settled by a job before."""
    asking = [priced for priced in batch if not priced.is_left_out]
    claims = dict(pair for priced in asking for pair in _keys(priced))
    with database.transaction() as connection:
        free = dict(
            entitlements.paid(
                connection,
                license_id,
                tally.terms.window_starts(tally.quoted_at),
                companies={priced.record.company_id.strip() for priced in asking},
                persons={
                    priced.record.person_id.strip()
                    for priced in asking
                    if priced.record.person_id is not None
                },
                items=tally.retrieve,
            )
        )
        settled = charges.settled_claims(connection, decided.job_ids, claims)
    for key, credits_ in claims.items():
        if credits_ == 0 or key in settled:
            subject = key.item, key.subject.strip()
            again = Entitlement(key.digest, tally.quoted_at, None)
            free[subject] = [*free.get(subject, ()), again]
    return free


def _digest_of(priced: PricedRecord) -> str:
    """The digest that a person was priced with; none where the directory knew it."""
    asked = {claim.digest for claim in priced.claims if claim.item is not Item.COMPANY}
    return priced.own if priced.own in asked else KNOWN


def _keys(priced: PricedRecord) -> Iterator[tuple[ClaimKey, int]]:
    """What a record asks to pay for, at which price."""
    for claim in priced.claims:
        subject = subject_of(priced.record, claim)
        yield ClaimKey(claim.item, subject, claim.digest), claim.credits
