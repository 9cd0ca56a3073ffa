"""The product's own functions that rivals and small measurements call.

All that the benchmark knows of the product's inside stands here; everything else
comes by HTTP, by the command line, or is read from the tables.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import compress, islice
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, TypeVar

from psycopg import Connection as Driver
from sqlalchemy import Connection, text

from bench.installations.contacts import (
    COMPANY_PRICE,
    EMAIL_PRICE,
    PHONE_PRICE,
    credits_of,
)
from pricing.claims import KNOWN, lookup_digest
from pricing.findings import Finding
from pricing.plans import Item
from pricing.settlement import Outcome
from storage.database import Database
from storage.findings import directory
from storage.jobs import outcomes
from storage.jobs.outcomes import OutcomeColumns
from storage.ledger import release, settlement
from storage.ledger.claims import ClaimColumns
from storage.ledger.settlement import Payer
from tests.support import stored_jobs
from worker.exports.writers.formats import format_of
from worker.quotes.readers.formats import BY_SUFFIX

_T = TypeVar("_T")

Row = Sequence[str]
"""A contact as the file has it."""

_COMPANY, _PERSON = 0, 3


@contextmanager
def opened(url: str, pool: int = 1) -> Iterator[Database]:
    """The product's way to a database."""
    database = Database(
        url.replace("postgresql://", "postgresql+psycopg://"), pool=pool
    )
    try:
        yield database
    finally:
        database.close()


def new_job(connection: Connection, name: str, count: int) -> Payer:
    """A license with its reservation and a job, as the producer leaves them."""
    credits_granted, most = 1_000_000_000, 2 * credits_of(count)
    stored_jobs.make_license(connection, name, credits_granted=credits_granted)
    stored_jobs.make_job(
        connection, name, most, license_id=name, kind="export", chunks=[count]
    )
    return stored_jobs.payer_of(connection, name)


def payer_as_json(payer: Payer) -> dict[str, Any]:
    """A payer as a message carries it."""
    return asdict(payer) | {"cut": payer.cut.isoformat()}


def payer_from_json(kept: dict[str, Any]) -> Payer:
    """A payer that came in a message."""
    return Payer(**kept | {"cut": datetime.fromisoformat(kept["cut"])})


def look_up(connection: Connection, persons: Collection[str]) -> Mapping[str, Finding]:
    """What the directory knows of these persons."""
    known = directory.look_up(connection, persons)
    return {person_id: Finding(*entry) for person_id, entry in known.items()}


def own_digest(row: Sequence[str]) -> str:
    """The digest of what the person of a contact is looked up by."""
    return lookup_digest(row[4], row[5], row[2])


class Contacts(NamedTuple):
    """Contacts by columns, numbered from `first` on; empty is what was not found."""

    first: int
    companies: Sequence[str]
    persons: Sequence[str]
    emails: Sequence[str]
    phones: Sequence[str]
    owns: Sequence[str]
    """What each person is looked up by: paid for under it too."""


def settle_columns(connection: Connection, payer: Payer, batch: Contacts) -> None:
    """Settle and record contacts by columns."""
    distinct = list(dict.fromkeys(batch.companies))
    with_email = list(compress(batch.persons, batch.emails))
    with_phone = list(compress(batch.persons, batch.phones))
    also: list[str | None] = [None] * len(distinct)
    also += [*compress(batch.owns, batch.emails), *compress(batch.owns, batch.phones)]
    sizes = len(distinct), len(with_email), len(with_phone)
    items = _each(sizes, (Item.COMPANY, Item.EMAIL, Item.PHONE))
    claims = ClaimColumns(
        items=items,
        subjects=[*distinct, *with_email, *with_phone],
        digests=[KNOWN] * len(items),
        credits=_each(sizes, (COMPANY_PRICE, EMAIL_PRICE, PHONE_PRICE)),
        also=also,
        providers=_each(sizes, (None, directory.NAME, directory.NAME)),
    )
    settlement.settle_columns(connection, payer, claims)
    count = len(batch.companies)
    ended = OutcomeColumns(
        records=list(range(batch.first, batch.first + count)),
        company_ids=batch.companies,
        person_ids=batch.persons,
        outcomes=[Outcome.DELIVERED] * count,
        email_found=[bool(email) for email in batch.emails],
        phone_found=[bool(phone) for phone in batch.phones],
    )
    outcomes.record_columns(connection, payer.job_id, ended)


def _each(sizes: Sequence[int], values: Sequence[_T]) -> list[_T]:
    """Each value as often as its size says."""
    found: list[_T] = []
    for size, value in zip(sizes, values, strict=True):
        found += [value] * size
    return found


def close(connection: Connection, job_id: str) -> None:
    """Close a job's reservation."""
    release.close(connection, job_id)


Charged = tuple[str, str, int, str | None, str | None]
"""Item, subject, credits, who found it, and the other digest that it is paid under."""

Ended = tuple[int, str, str, bool, bool]
"""Number, company, person, and whether e-mail and phone were found."""


def copy_batch(
    connection: Connection,
    payer: Payer,
    at: datetime,
    charges: list[Charged],
    ended: Sequence[Ended],
) -> None:
    """Copy the rows that a delivered batch leaves, as settling writes them."""
    charges.sort(key=lambda charge: charge[:2])
    drawn = text("SELECT setval('charges_id_seq', nextval('charges_id_seq') + :count)")
    last = connection.execute(drawn, {"count": len(charges)}).scalar_one()
    numbered = list(zip(range(last - len(charges) + 1, last + 1), charges, strict=True))
    license_, job = payer.license_id, payer.job_id
    entitled = [
        (license_, item, subject, digest, id_, at, id_)
        for id_, (item, subject, _, _, own) in numbered
        for digest in ((KNOWN,) if own is None else (KNOWN, own))
    ]
    whose = license_, payer.period_id, payer.reservation_id, job, payer.user_id
    charged = [
        (id_, *whose, item, subject, KNOWN, credits_, "price", at, finder, own)
        for id_, (item, subject, credits_, finder, own) in numbered
    ]
    outcomes = [
        (job, license_, number, company, person, "delivered", email, phone)
        for number, company, person, email, phone in ended
    ]
    _copy(connection, _ENTITLEMENTS, entitled)
    _copy(connection, _CHARGES, charged)
    _copy(connection, _OUTCOMES, outcomes)


_ENTITLEMENTS = """
COPY entitlements (license_id, item, subject, digest, settled_as, exported_at,
                   exported_by) FROM STDIN
"""
_CHARGES = """
COPY charges (id, license_id, period_id, reservation_id, job_id, user_id, item, subject,
              digest, credits, rule, charged_at, provider, also_digest) FROM STDIN
"""
_OUTCOMES = """
COPY record_outcomes (job_id, license_id, record, company_id, person_id, outcome,
                      email_found, phone_found) FROM STDIN
"""


def _copy(
    connection: Connection, statement: LiteralString, rows: Sequence[Sequence[object]]
) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, Driver)  # noqa: S101 - for the type
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def settle_total(connection: Connection, payer: Payer, credits_: int) -> None:
    """Book what was copied: on the reservation, and as one transfer."""
    values = {
        "credits": credits_,
        "reservation": payer.reservation_id,
        "license": payer.license_id,
        "period": payer.period_id,
    }
    connection.execute(
        text(
            "UPDATE reservations SET settled = settled + :credits"
            " WHERE id = :reservation"
        ),
        values,
    )
    connection.execute(
        text(
            "INSERT INTO transfers (license_id, period_id, reservation_id, kind,"
            " from_account, to_account, credits) VALUES (:license, :period,"
            " :reservation, 'settle', 'reservation', 'spent', :credits)"
        ),
        values,
    )


def write_file(format_name: str, path: Path, heads: Row, rows: Iterable[Row]) -> None:
    """Write an exported file with the product's writer, 500 rows at a time."""
    waiting = iter(rows)
    with path.open("wb") as file, format_of(format_name).open(file, heads) as to:
        while batch := list(islice(waiting, 500)):
            to.add(batch)


def reads(format_name: str) -> bool:
    """Whether the product takes files of this format in."""
    return f".{format_name}" in BY_SUFFIX


def read(format_name: str, path: Path) -> int:
    """Read a file's records with the product's reader, and let go of them; how many."""
    with path.open("rb") as file:
        reading = BY_SUFFIX[f".{format_name}"].read(file)
        return sum(len(block.records) for block in reading.blocks)
