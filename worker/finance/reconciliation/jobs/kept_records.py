"""A job's records as its input keeps them, with how each ended.

Where the input is gone, what was written down of its records stands alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from pricing.claims import PricedClaim, resolved
from storage.database import Database
from storage.files.artifacts import Artifacts
from storage.jobs import outcomes
from storage.jobs.outcomes import OutcomeRow
from worker.finance.reconciliation.jobs.due_lines import NEVER_REACHED, Ending
from worker.quotes.priced_records import PricedRecords, joined, parse

_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record: whom it names, what was asked for, and how it ended.

    `claims` are None where the input is gone; `own` is what its person is looked up by.
    """

    number: int
    company_id: str
    person_id: str | None
    claims: Sequence[PricedClaim] | None
    own: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Block:
    """Some records, and the outcomes that name none or another one of them."""

    records: Sequence[KeptRecord]
    strays: Sequence[OutcomeRow]
    outcomes: Sequence[OutcomeRow]


def blocks_of_input(
    database: Database, artifacts: Artifacts, job_id: str, name: str
) -> Iterator[Block]:
    """All records of an input. Raises `ArtifactError` where it cannot be read."""
    with artifacts.open(name) as stream:
        for records in _slices(stream):
            with database.reading() as connection:
                found = _ended(connection, job_id, records)
            yield _block(records, found)


def _slices(lines: Iterator[bytes]) -> Iterator[PricedRecords]:
    """Some records at a time, also where the input has one a line."""
    pending: PricedRecords | None = None
    for line in lines:
        records = parse(line)
        pending = records if pending is None else joined(pending, records)
        if len(pending) >= _RECORDS or not line.startswith(b"["):
            yield pending
            pending = None
    if pending is not None:
        yield pending


def _ended(
    connection: Connection, job_id: str, records: PricedRecords
) -> list[OutcomeRow]:
    first, last = records.numbers[0], records.numbers[-1]
    found = outcomes.of_job(connection, job_id, after=first - 1, limit=last - first + 1)
    return [one for one in found if one.record <= last]


def _block(records: PricedRecords, found: Sequence[OutcomeRow]) -> Block:
    by_number = {one.record: one for one in found}
    kept, strays = [], []
    for number, company_id, person_id, own, place in zip(
        records.numbers,
        records.company_ids,
        records.person_ids,
        records.owns,
        records.claims,
        strict=True,
    ):
        ended = by_number.pop(number, None)
        if ended and (ended.company_id, ended.person_id) != (company_id, person_id):
            strays.append(ended)
        kept.append(
            KeptRecord(
                number,
                company_id,
                person_id,
                resolved(records.patterns[place], own),
                own,
                _ending(ended),
            )
        )
    return Block(kept, [*strays, *by_number.values()], found)


def _ending(row: OutcomeRow | None) -> Ending:
    if row is None:
        return NEVER_REACHED
    return Ending(row.outcome, row.email_found, row.phone_found, row.change, row.code)


def blocks_of_outcomes(database: Database, job_id: str) -> Iterator[Block]:
    """What was written down of a job's records, without what was asked for."""
    after = 0
    while True:
        with database.reading() as connection:
            found = outcomes.of_job(connection, job_id, after=after, limit=_RECORDS)
        if not found:
            return
        yield Block(
            [
                KeptRecord(
                    one.record, one.company_id, one.person_id, None, "", _ending(one)
                )
                for one in found
            ],
            (),
            found,
        )
        after = found[-1].record
