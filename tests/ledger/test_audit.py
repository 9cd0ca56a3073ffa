"""The audit sees each promise that is broken, and nothing where all are kept."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.ledger import audit, company_views, entitlements
from storage.ledger.company_views import Booked, View
from storage.refunds.refunds import RefundResult
from tests.support import job_runs
from tests.support.stored_jobs import (
    end_job,
    make_job,
    make_license,
    refund,
    settle,
    take_outcomes_apart,
)
from worker.jobs import submission

Breaking = Callable[[Connection], None]


def _by(statement: str) -> Breaking:
    """Break a promise behind the back of all triggers and foreign keys."""

    def break_it(connection: Connection) -> None:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        changed = connection.execute(text(statement))
        assert changed.rowcount > 0

    return break_it


def _of_records(statement: str) -> Breaking:
    """Break what became of a record."""

    def break_it(connection: Connection) -> None:
        take_outcomes_apart(connection)
        _by(statement)(connection)

    return break_it


def _give_back_without_a_refund(connection: Connection) -> None:
    connection.execute(
        text("""
            INSERT INTO transfers (license_id, period_id, kind, from_account,
                                   to_account, credits, reference)
            SELECT license_id, id, 'refund', 'spent', 'available', 1, 'nobody'
              FROM periods""")
    )
    connection.execute(text("UPDATE periods SET spent = spent - 1"))


def _of_a_note(statement: str) -> Breaking:
    """Break what a credit note left."""

    def break_it(connection: Connection) -> None:
        charge = connection.execute(
            text("SELECT min(id) FROM charges WHERE credits > 0")
        ).scalar_one()
        assert refund(connection, charge, "a test") is RefundResult.REFUNDED
        # The note that the refund names is looked for before triggers rest.
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        _by(statement)(connection)

    return break_it


def _export(connection: Connection, job_id: str, *, settled: int = 1) -> None:
    """A company that is paid for: its quote is of a day when nothing frees it."""
    later = datetime.now(UTC) + timedelta(days=99 * settled)
    make_job(connection, job_id, 1, quoted_at=later)
    assert settle(connection, job_id, "company:c7=1") == settled
    end_job(connection, job_id)


def _pay_twice(connection: Connection) -> None:
    _export(connection, "job-1")
    _export(connection, "job-2")
    connection.execute(text("UPDATE quotes SET quoted_at = now()"))


def _pay_on_both_sides_of_a_view(connection: Connection) -> None:
    """An old quote counts no views: its neighbour hides the first export from it."""
    _export(connection, "job-1")
    view = View(
        id="view-1",
        license_id="acme",
        user_id="ada",
        company_id="c7",
        credits=1,
        free_since=datetime.now(UTC) + timedelta(days=9),
    )
    assert company_views.book(connection, view) == Booked(1, None)
    _export(connection, "job-2")
    connection.execute(text("UPDATE quotes SET quoted_at = now()"))


def _forget_who_paid_before(connection: Connection) -> None:
    _export(connection, "job-1")
    _export(connection, "job-2")
    forgotten = "UPDATE entitlements SET former_payers = NULL WHERE subject = 'c7'"
    connection.execute(text(forgotten))


def _name_as_payer(payer: str) -> Breaking:
    """Let a free line name another payer, and the entitlement be what that makes it."""

    def break_it(connection: Connection) -> None:
        for job_id, settled in (("job-1", 1), ("job-2", 0), ("job-3", 0)):
            _export(connection, job_id, settled=settled)
        _by(f"UPDATE charges SET paid_by = ({payer}) WHERE job_id = 'job-3'")(
            connection
        )
        connection.execute(text("DELETE FROM entitlements"))
        connection.execute(
            text(f"""
                INSERT INTO entitlements (license_id, item, subject, digest,
                       exported_at, exported_by, viewed_at, viewed_by, former_payers)
                SELECT license_id, item, subject, digest, exported_at, exported_by,
                       viewed_at, viewed_by, payers
                  FROM ({entitlements.of_charges("charges")}) AS stands""")
        )

    return break_it


BREAKINGS: list[tuple[str, Breaking]] = [
    (
        "period_counters_are_account_balances",
        _by("UPDATE periods SET granted = granted + 1"),
    ),
    (
        "period_counters_are_account_balances",
        _by("UPDATE periods SET reserved = reserved + 1"),
    ),
    (
        "period_counters_are_account_balances",
        _by("DELETE FROM transfers WHERE kind = 'grant'"),
    ),
    ("spent_is_settled_less_refunded", _give_back_without_a_refund),
    (
        "reservation_is_its_charges",
        _by("UPDATE charges SET credits = credits + 1 WHERE credits > 0"),
    ),
    ("one_payer_a_window", _pay_twice),
    ("one_payer_a_window", _pay_on_both_sides_of_a_view),
    ("payers_paid", _name_as_payer("SELECT 999")),
    ("payers_paid", _name_as_payer("SELECT id FROM charges WHERE subject = 'c2'")),
    ("payers_paid", _name_as_payer("SELECT id FROM charges WHERE job_id = 'job-2'")),
    ("entitlements_are_their_lines", _by("DELETE FROM entitlements")),
    (
        "entitlements_are_their_lines",
        _by("""
            INSERT INTO entitlements (license_id, item, subject, digest, exported_at,
                                      exported_by)
            SELECT license_id, item, 'c9', digest, exported_at, exported_by
              FROM entitlements WHERE subject = 'c1'"""),
    ),
    *(
        ("entitlements_are_their_lines", _by(f"UPDATE entitlements SET {changed}"))
        for changed in (
            "exported_at = exported_at - interval '1 microsecond'",
            "exported_by = exported_by + 1",
            "viewed_at = exported_at, viewed_by = exported_by",
            "exported_at = NULL, exported_by = NULL",
        )
    ),
    ("entitlements_are_their_lines", _forget_who_paid_before),
    (
        "delivered_has_a_line",
        _of_records(
            "UPDATE record_outcomes SET email_found = true WHERE person_id = 'nobody'"
        ),
    ),
    (
        "line_was_delivered",
        _of_records(
            "UPDATE record_outcomes SET phone_found = false WHERE person_id = 'p1'"
        ),
    ),
    (
        "chunks_cover_the_job",
        _by("UPDATE jobs SET records = records + 1 WHERE state = 'queued'"),
    ),
    (
        "chunks_cover_the_job",
        _by("UPDATE jobs SET open_chunks = 0 WHERE state = 'queued'"),
    ),
    (
        "outcomes_add_up",
        _of_records(
            "UPDATE record_outcomes SET outcome = 'excluded' WHERE person_id = 'nobody'"
        ),
    ),
    (
        "outcomes_add_up",
        _of_records("DELETE FROM record_outcomes WHERE person_id = 'nobody'"),
    ),
    (
        "parts_hold_what_was_delivered",
        _by("UPDATE parts SET records = records + 1 WHERE position = 0"),
    ),
    ("parts_hold_what_was_delivered", _by("DELETE FROM parts WHERE position = 0")),
    (
        "ended_is_closed",
        _by("""
            UPDATE jobs SET state = 'failed', finished_at = created_at
             WHERE state = 'queued'"""),
    ),
    (
        "ended_is_closed",
        _by("""
            UPDATE jobs SET state = 'finishing', finished_at = NULL
             WHERE state = 'succeeded'"""),
    ),
    (
        "credit_notes_are_their_refunds",
        _of_a_note("UPDATE credit_notes SET credits = credits + 1"),
    ),
    (
        "credit_notes_are_their_refunds",
        _of_a_note("DELETE FROM credit_note_charges"),
    ),
    (
        "credit_note_numbers_have_no_gaps",
        _of_a_note("UPDATE credit_note_numbers SET last = last + 1"),
    ),
    (
        "credit_note_numbers_have_no_gaps",
        _of_a_note("UPDATE credit_notes SET number = number + 1"),
    ),
    (
        "refund_allowances_are_their_notes",
        _of_a_note("UPDATE credit_notes SET counted_as = 'ada'"),
    ),
    (
        "refund_allowances_are_their_notes",
        _by("""
            INSERT INTO refund_allowances (license_id, counted_as, day, credits)
            VALUES ('acme', 'ada', '2026-01-31', 5)"""),
    ),
    (
        "nothing_is_left_open",
        _by("""
            INSERT INTO unchanged_claims (job_id, item, subject, digest)
            SELECT id, 'company', 'c9', '' FROM jobs WHERE state = 'succeeded'"""),
    ),
    (
        "frozen_statements_are_their_transfers",
        _by("""
            INSERT INTO statements (period_id, run, license_id, since, until, available,
                                    reserved, spent, expired, document)
            SELECT id, 1, license_id, 0, 1, 0, 0, 7, 0, '{}' FROM periods"""),
    ),
]


@pytest.fixture
def books(broken_database: Database, tmp_path) -> Database:
    """One job that has ended and one that waits, all as it should be."""
    url = broken_database.url.render_as_string(hide_password=False)
    deps = job_runs.wire_to(url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.know(deps, "p1", "p2")
        for contacts in (["c1/p1", "c1/nobody", "c2/p2"], ["c3", "c4"]):
            job_id = submission.submit(deps, job_runs.quote(deps, contacts).id)
            if "c3" not in contacts:
                job_runs.run(deps, job_id)
    with broken_database.transaction() as connection:
        assert audit.run(connection) == []
    return broken_database


@pytest.mark.parametrize(("check", "break_it"), BREAKINGS)
def test_a_broken_promise_is_seen_by_its_own_check(books, check, break_it):
    with books.transaction() as connection:
        break_it(connection)
    with books.transaction() as connection:
        assert {violation.check for violation in audit.run(connection)} == {check}


@pytest.mark.parametrize("check", audit.CHECKS)
def test_every_check_has_something_that_breaks_it(check):
    assert check in {broken for broken, _ in BREAKINGS}


def test_a_violation_says_what_is_wrong_and_where(books):
    with books.transaction() as connection:
        connection.execute(text("UPDATE periods SET granted = 501"))
    with books.transaction() as connection:
        (violation,) = audit.run(connection)
    assert "of acme: granted 501" in violation.detail
    assert "transfers say 500" in violation.detail


def test_the_audit_lists_at_most_so_many_of_each_check(broken_database):
    with broken_database.transaction() as connection:
        for license_id in ("acme", "globex", "initech"):
            make_license(connection, license_id)
        connection.execute(text("UPDATE periods SET granted = granted + 1"))
    with broken_database.transaction() as connection:
        assert len(audit.run(connection, limit=2)) == 2
