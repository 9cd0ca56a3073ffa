"""What must never happen, tried: the database itself refuses."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.ledger import audit
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)


@pytest.fixture(scope="module")
def books(shared_database) -> Iterator[Database]:
    """One closed job with a charge and its refund, and one open job."""
    with shared_database.transaction() as connection:
        make_license(connection, credits_granted=500)
        make_job(connection, "job-1", 10)
        make_job(connection, "job-2", 10)
        settle(connection, "job-1", "phone:p1=2")
        settle(connection, "job-2", "company:c1=1")
        end_job(connection, "job-1")
        charge = charge_of(connection, "job-1", "phone:p1")
        refund(connection, charge, "a wrong number")
    yield shared_database
    with shared_database.transaction() as connection:
        assert audit.run(connection) == []


def _refused(database: Database, statement: str) -> str:
    """Which rule refuses a statement."""
    with (
        pytest.raises(IntegrityError) as refused,
        database.transaction() as connection,
    ):
        connection.execute(text(statement))
    diagnosis = refused.value.orig.diag  # type: ignore[union-attr]
    return str(diagnosis.constraint_name or diagnosis.message_primary)


@pytest.mark.parametrize("table", ["transfers", "charges", "refunds"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET credits = credits",
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
    ],
)
def test_what_was_written_down_is_never_changed(books, table, statement):
    why = _refused(books, statement.format(table))
    assert why.endswith("are never changed")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reservations SET settled = 3, released = 7 WHERE state = 'closed'",
        """
        UPDATE reservations SET state = 'open', released = 0, closed_at = NULL WHERE
          state = 'closed'""",
        "DELETE FROM reservations WHERE state = 'closed'",
    ],
)
def test_a_closed_reservation_stays_as_it_closed(books, statement):
    assert _refused(books, statement) == "rows of reservations are never changed"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            "UPDATE reservations SET settled = amount + 1 WHERE state = 'open'",
            "reservations_guarantee_check",
        ),
        (
            "UPDATE reservations SET settled = -1 WHERE state = 'open'",
            "reservations_counters_check",
        ),
        (
            "UPDATE reservations SET released = 1 WHERE state = 'open'",
            "reservations_closed_check",
        ),
        (
            """
            UPDATE reservations SET state = 'closed', closed_at = now(), released =
              amount - settled - 1 WHERE state = 'open'""",
            "reservations_closed_check",
        ),
        (
            """
            UPDATE reservations SET state = 'closed', released = amount - settled
              WHERE state = 'open'""",
            "reservations_closed_check",
        ),
        (
            """
            INSERT INTO reservations (license_id, period_id, job_id, amount,
              lifetime_s, deadline_at)
            SELECT license_id, period_id, job_id, 1, 1, now() FROM reservations WHERE
              state = 'open'""",
            "reservations_job_id_key",
        ),
        ("UPDATE periods SET reserved = granted + 1", "periods_available_check"),
        ("UPDATE periods SET spent = granted", "periods_available_check"),
        ("UPDATE periods SET reserved = -1", "periods_counters_check"),
        ("UPDATE periods SET expired = 1", "periods_expired_check"),
        ("UPDATE periods SET ended_at = now()", "periods_ended_check"),
        ("UPDATE periods SET ends_at = starts_at", "periods_length_check"),
        (
            """
            INSERT INTO periods (license_id, starts_at, ends_at)
            SELECT license_id, starts_at, ends_at FROM periods""",
            "periods_license_id_starts_at_key",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, kind, from_account,
              to_account, credits, reference)
            SELECT license_id, id, 'grant', 'outside', 'available', 0, 'nothing'
              FROM periods""",
            "transfers_credits_check",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, kind, from_account,
              to_account, credits, reference)
            SELECT license_id, id, 'grant', 'spent', 'outside', 1, 'backwards' FROM
              periods""",
            "transfers_kind_check",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, kind, from_account,
              to_account, credits)
            SELECT license_id, id, 'reserve', 'available', 'reservation', 1 FROM
              periods""",
            "transfers_reservation_check",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, kind, from_account,
              to_account, credits)
            SELECT license_id, id, 'grant', 'outside', 'available', 1 FROM periods""",
            "transfers_reference_check",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, kind, from_account,
              to_account, credits, reference)
            SELECT license_id, period_id, kind, from_account, to_account, credits,
              reference FROM transfers WHERE kind = 'grant'""",
            "transfers_grant_idx",
        ),
        (
            """
            INSERT INTO transfers (license_id, period_id, reservation_id, kind,
              from_account, to_account, credits)
            SELECT license_id, period_id, reservation_id, kind, from_account,
              to_account, credits FROM transfers WHERE kind = 'release'""",
            "transfers_reservation_once_idx",
        ),
        (
            """
            INSERT INTO charges
            SELECT id + 1000, license_id, period_id, reservation_id, job_id,
              user_id, item, subject, digest, credits, rule, paid_by, charged_at FROM
              charges""",
            "charges_job_id_item_subject_digest_key",
        ),
        (
            """
            INSERT INTO charges
            SELECT id + 1000, license_id, period_id, reservation_id, job_id,
              user_id, item, 'other', digest, 0, rule, paid_by, charged_at FROM
              charges""",
            "charges_priced_check",
        ),
        (
            """
            INSERT INTO charges
            SELECT id + 1000, license_id, period_id, reservation_id, job_id,
              user_id, item, 'other', digest, credits, 'free_as_quoted', paid_by,
              charged_at FROM charges""",
            "charges_priced_check",
        ),
        (
            """
            INSERT INTO refunds
            SELECT charge_id, license_id, period_id, job_id, credits, reason,
              refunded_at FROM refunds""",
            "refunds_pkey",
        ),
        ("DELETE FROM quotes", "jobs_quote_id_fkey"),
        (
            "UPDATE jobs SET open_chunks = -1 WHERE id = 'job-2'",
            "jobs_open_chunks_check",
        ),
        (
            "UPDATE jobs SET finished_at = now() WHERE id = 'job-2'",
            "jobs_finished_at_check",
        ),
        ("UPDATE jobs SET state = 'lost'", "jobs_state_check"),
    ],
)
def test_what_must_never_happen_is_refused_by_its_rule(books, statement, constraint):
    assert _refused(books, statement) == constraint


def test_a_job_needs_its_reservation(books):
    statement = """
        INSERT INTO jobs (id, quote_id, license_id, user_id, kind, records,
                          open_chunks, created_at)
        SELECT 'job-9', 'quote of job-1', license_id, user_id, kind, records,
               open_chunks, created_at FROM jobs WHERE id = 'job-1'"""
    assert _refused(books, statement) in {"jobs_id_fkey", "jobs_quote_id_key"}
