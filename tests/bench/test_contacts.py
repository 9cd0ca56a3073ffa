"""The contacts cost what is said, and the floor writes what settling does."""

import csv
import io
from contextlib import suppress
from itertools import pairwise

import pytest
from sqlalchemy import text

from bench.installations import contacts
from bench.installations.contacts import csv_of, found_of, has_email, has_phone, row
from bench.rivals import one_process, product, row_statements
from bench.rivals.chunk_task import slices
from pricing.claims import KNOWN

_COUNT = 40


class _Undone(Exception):
    """Rolls back what a test has written."""


@pytest.mark.parametrize("count", [_COUNT, 7, 1])
def test_credits_are_those_of_what_can_be_found(count):
    found = [found_of(number) for number in range(count)]
    emails = sum(bool(email) for email, _, _ in found)
    phones = sum(bool(phone) for _, _, phone in found)
    companies = len({row(number)[0] for number in range(count)})
    assert contacts.credits_of(count) == companies + emails + 2 * phones
    assert has_email(1)
    assert has_phone(1)
    assert not has_email(0)
    assert not has_phone(4)


def test_slices_are_all_rows_of_a_file_each_once():
    data = csv_of(25)
    places = slices(data, 10)
    rows: list[list[str]] = []
    for first_byte, size, first in places:
        cut = data[first_byte : first_byte + size].decode()
        assert first == len(rows) + 1
        rows += list(csv.reader(io.StringIO(cut)))
    assert rows == [row(number) for number in range(25)]
    assert all(a.first_byte + a.size == b.first_byte for a, b in pairwise(places))


def _written(connection, license_id):
    charges = connection.execute(
        text(
            "SELECT item, subject, digest, credits, rule, provider, also_digest"
            " FROM charges"
            " WHERE license_id = :license ORDER BY item, subject"
        ),
        {"license": license_id},
    ).all()
    entitlements = connection.execute(
        text(
            "SELECT item, subject, digest, exported_by IS NOT NULL FROM entitlements"
            " WHERE license_id = :license ORDER BY item, subject, digest"
        ),
        {"license": license_id},
    ).all()
    return charges, entitlements


def _under_the_id(written):
    """What record by record is written: under the id alone, as it was at first."""
    charges, entitlements = written
    known = [one for one in entitlements if one.digest == KNOWN]
    return [charge[:6] for charge in charges], known


def _ended(connection, license_id):
    return connection.execute(
        text(
            "SELECT record, company_id, person_id, outcome, email_found, phone_found"
            " FROM outcomes WHERE license_id = :license ORDER BY record"
        ),
        {"license": license_id},
    ).all()


def test_the_floor_copies_what_both_ways_of_settling_write(
    database, tmp_path, monkeypatch
):
    monkeypatch.setattr(one_process, "_BATCH", 12)  # several, within companies too
    source = tmp_path / "in.csv"
    source.write_bytes(csv_of(_COUNT))
    rows = [row(number) for number in range(_COUNT)]
    found = [found_of(number) for number in range(_COUNT)]
    # No chunk has run: what audits the database at the end would say so.
    with suppress(_Undone), database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO directory (person_id, email, email_status, phone) VALUES"
                " (:person, nullif(:email, ''), :status, nullif(:phone, ''))"
            ),
            [
                {"person": one[3], "email": email, "status": status, "phone": phone}
                for one, (email, status, phone) in zip(rows, found, strict=True)
            ],
        )
        floor = product.new_job(connection, "floor", _COUNT)
        with source.open(newline="") as read, (tmp_path / "out").open("w") as write:
            credits_ = one_process.copied(connection, floor, read, write)
        product.settle_total(connection, floor, credits_)
        by_rows = product.new_job(connection, "rows", _COUNT)
        looked_up = product.look_up(connection, [one[3] for one in rows])
        batch = [(n, one, looked_up.get(one[3])) for n, one in enumerate(rows, 1)]
        row_statements.settle_rows(connection, by_rows, batch)
        by_columns = product.new_job(connection, "columns", _COUNT)
        emails, phones = [one[0] for one in found], [one[2] for one in found]
        keys = [one[0] for one in rows], [one[3] for one in rows]
        owns = [product.own_digest(one) for one in rows]
        columns = product.Contacts(1, *keys, emails, phones, owns)
        product.settle_columns(connection, by_columns, columns)
        assert credits_ == contacts.credits_of(_COUNT)
        alone = [_under_the_id(_written(connection, one)) for one in ("floor", "rows")]
        assert alone[0] == alone[1]
        assert _written(connection, "floor") == _written(connection, "columns")
        assert _ended(connection, "floor") == _ended(connection, "rows")
        assert _ended(connection, "floor") == _ended(connection, "columns")
        raise _Undone
