"""The audit sees each promise that is broken, and nothing where all are kept."""

from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.ledger import audit
from tests.support import job_runs
from tests.support.stored_jobs import end_job, make_job, make_license, settle
from worker.jobs import submission

Breaking = Callable[[Connection], None]


def _by(statement: str) -> Breaking:
    """Break a promise behind the back of all triggers and foreign keys."""

    def break_it(connection: Connection) -> None:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        changed = connection.execute(text(statement))
        assert changed.rowcount > 0

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


def _pay_twice(connection: Connection) -> None:
    for job_id in ("job-1", "job-2"):
        make_job(connection, job_id, 1)
        assert settle(connection, job_id, "company:c7=1") == 1
        end_job(connection, job_id)
        connection.execute(
            text(
                "UPDATE entitlements SET exported_at = exported_at - interval '99 days'"
            )
        )


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
    ("payers_paid", _by("UPDATE entitlements SET paid_by = 999 WHERE subject = 'c1'")),
    (
        "payers_paid",
        _by("""
            UPDATE entitlements SET paid_by = (
              SELECT min(id) FROM charges WHERE subject = 'c2')
             WHERE subject = 'c1'"""),
    ),
    (
        "delivered_has_a_line",
        _by("UPDATE outcomes SET email_found = true WHERE person_id = 'nobody'"),
    ),
    (
        "line_was_delivered",
        _by("UPDATE outcomes SET phone_found = false WHERE person_id = 'p1'"),
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
        _by("UPDATE outcomes SET outcome = 'excluded' WHERE person_id = 'nobody'"),
    ),
    ("outcomes_add_up", _by("DELETE FROM outcomes WHERE person_id = 'nobody'")),
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
        "nothing_is_left_open",
        _by("""
            INSERT INTO unchanged_claims (job_id, item, subject, digest)
            SELECT id, 'company', 'c9', '' FROM jobs WHERE state = 'succeeded'"""),
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
