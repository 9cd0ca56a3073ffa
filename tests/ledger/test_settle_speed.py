"""Settling is one statement, and not much slower than writing the same rows down."""

import os
import time
from statistics import median

import psycopg
import pytest
from sqlalchemy import Connection, text

from pricing.claims import KNOWN, lookup_digest
from pricing.plans import Item
from storage.database import Database
from storage.ledger.claims import Claim
from storage.ledger.settlement import Payer, settle
from tests.support.stored_jobs import make_job, make_license, payer_of

_LEAST = 0.8
"""The promise: settled contacts a second, as a share of copied ones."""

_BATCHES = int(os.environ.get("HOLDFAST_TEST_BATCHES", "24"))
_ATTEMPTS = 4
_CONTACTS = 500
_CONTACTS_A_COMPANY = 5


def _batch(number: int) -> list[Claim]:
    """Five hundred delivered contacts, each with its company, e-mail and phone."""
    claims: list[Claim] = []
    for contact in range(number * _CONTACTS, (number + 1) * _CONTACTS):
        company = f"company-{contact // _CONTACTS_A_COMPANY:08d}"
        person = f"person-{contact:08d}"
        own = lookup_digest("Ada", f"Lovelace {contact}", "example.com")
        claims += [
            Claim(Item.COMPANY, company, KNOWN, 1),
            Claim(Item.EMAIL, person, KNOWN, 1, also=own),
            Claim(Item.PHONE, person, KNOWN, 2, also=own),
        ]
    return claims


def _timed_settle(database: Database, payer: Payer, claims: list[Claim]) -> float:
    began_s = time.perf_counter()
    with database.transaction() as connection:
        settle(connection, payer, claims)
    return time.perf_counter() - began_s


_COPIED = {"charges": "id > :after", "entitlements": "exported_by > :after"}


def _written_since(
    connection: Connection, after: int
) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: [
            tuple(row)
            for row in connection.execute(
                text(f"SELECT * FROM {table} WHERE {condition} ORDER BY 1, 2, 3"),
                {"after": after},
            )
        ]
        for table, condition in _COPIED.items()
    }


def _timed_copy(
    driver: psycopg.Connection, rows: dict[str, list[tuple[object, ...]]]
) -> float:
    """Write the same rows to tables with the same keys, indexes and checks."""
    began_s = time.perf_counter()
    with driver.cursor() as cursor:
        for table, written in rows.items():
            with cursor.copy(f"COPY {table}_copied FROM STDIN") as copy:
                for row in written:
                    copy.write_row(row)
    driver.commit()
    return time.perf_counter() - began_s


def _last_charge(connection: Connection) -> int:
    last: int = connection.execute(
        text("SELECT coalesce(max(id), 0) FROM charges")
    ).scalar_one()
    return last


def _round(database: Database, driver: psycopg.Connection, payer: Payer, first: int):
    """Settle and copy batch by batch; return contacts a second, and the ratio."""
    ratios, settled_s = [], 0.0
    for number in range(first, first + _BATCHES):
        with database.transaction() as connection:
            after = _last_charge(connection)
        took_s = _timed_settle(database, payer, _batch(number))
        with database.transaction() as connection:
            rows = _written_since(connection, after)
        assert len(rows["charges"]) == _CONTACTS * 2 + _CONTACTS // 5
        ratios.append(_timed_copy(driver, rows) / took_s)
        settled_s += took_s
    return _BATCHES * _CONTACTS / settled_s, median(ratios)


@pytest.mark.alone
def test_settling_keeps_up_with_copying_the_same_rows(
    database, database_url, slack, capsys
):
    with database.transaction() as connection:
        make_license(connection, credits_granted=10_000_000)
        make_job(connection, "job-1", 5_000_000)
        payer = payer_of(connection, "job-1")
        for table in _COPIED:
            connection.execute(
                text(f"CREATE TABLE {table}_copied (LIKE {table} INCLUDING ALL)")
            )
    with psycopg.connect(database_url.replace("+psycopg", "")) as driver:
        # What else the machine does can only hide the speed: the best of a few counts.
        for attempt in range(_ATTEMPTS):
            rate, ratio = _round(database, driver, payer, attempt * _BATCHES)
            with capsys.disabled():
                print(f" {rate:,.0f} contacts/s, {ratio:.2f} of COPY ", end="")
            if ratio >= _LEAST / slack:
                return
    raise AssertionError(f"settling is at {ratio:.2f} of the speed of COPY")
