"""Entitlements that named the last payer come to be what their lines make them."""

import pytest
from sqlalchemy import Connection, text

from storage.database import Database
from storage.ledger import audit
from storage.migrations import migrator

_CHECKS = {"one_payer_a_window", "payers_paid", "entitlements_are_their_lines"}


def _history(connection: Connection, *lines: str) -> None:
    """Lines as the old rules wrote them: `id day subject credits [paid_by] [view]`.

    Each job was quoted on the day of its line, in V3 with a window of a year.
    """
    # Of lines alone, without all that they stand on.
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    for line in lines:
        number, day, subject, credits_, *more = line.split()
        payer = next((int(each) for each in more if each.isdigit()), None)
        is_view = "view" in more
        rule = "paid_meanwhile" if payer and "as_quoted" not in more else "price"
        if credits_ == "0" and rule == "price":
            rule = "free_as_quoted"
        at = f"timestamptz '2026-01-01 00:00:00Z' + interval '{day} days'"
        connection.execute(
            text(f"""
                INSERT INTO charges (id, license_id, period_id, user_id, item, subject,
                                     digest, credits, rule, paid_by, charged_at, job_id,
                                     reservation_id, view_id, free_since)
                VALUES (:id, 'acme', 1, 'ada', 'company', :subject, '', :credits, :rule,
                        :payer, {at}, :job, :reservation, :view,
                        CASE WHEN CAST(:view AS text) IS NOT NULL
                             THEN {at} - interval '365 days' END)"""),
            {
                "id": int(number),
                "subject": subject.replace("_", "\u2003"),
                "credits": int(credits_),
                "rule": rule,
                "payer": payer,
                "job": None if is_view else f"job-{number}",
                "reservation": None if is_view else int(number),
                "view": f"view-{number}" if is_view else None,
            },
        )
        if not is_view:
            connection.execute(
                text(f"""
                    INSERT INTO quotes (id, license_id, user_id, kind, retrieve,
                           email_level, terms, quoted_at, expires_at, max_credits,
                           available, fits_records, lines, changed, records, companies,
                           persons, duplicates, columns, slices)
                    VALUES (:id, 'acme', 'ada', 'export', '{{}}', 'verified',
                            '{{"window_days": 365, "views_count": true}}', {at}, {at},
                            1, 1, 1, '[]', '[]', 1, 1, 0, 0, '{{}}', '[]')"""),
                {"id": f"quote-{number}"},
            )
            connection.execute(
                text("""
                    INSERT INTO jobs (id, license_id, quote_id, user_id, kind, records,
                                      open_chunks, created_at)
                    VALUES (:id, 'acme', :quote, 'ada', 'push', 1, 0, now())"""),
                {"id": f"job-{number}", "quote": f"quote-{number}"},
            )
    connection.execute(text("SET LOCAL session_replication_role = origin"))


def _refund(connection: Connection, charge: int, day: int) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        text("""
            INSERT INTO refunds (charge_id, license_id, period_id, credits, reason,
                                 refunded_at)
            VALUES (:charge, 'acme', 1, 1, 'a test',
                    timestamptz '2026-01-01 00:00:00Z'
                      + make_interval(days => :day))"""),
        {"charge": charge, "day": day},
    )
    connection.execute(text("SET LOCAL session_replication_role = origin"))


@pytest.fixture
def old(empty_database: Database) -> Database:
    """A database of the version before, with an entitlement as it kept them."""
    migrator.migrate(empty_database, "0009")
    with empty_database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO entitlements (license_id, item, subject, digest, settled_as,
                                          paid_by, exported_at, viewed_at)
                VALUES ('acme', 'company', 'c1', '', 2, 2, '2026-02-01', '2026-01-01'),
                       ('acme', 'company', 'gone', '', 9, NULL, NULL, NULL)""")
        )
    return empty_database


def _upgraded(old: Database) -> tuple[list[tuple[object, ...]], set[str]]:
    """Which charges each company's uses stand on, and what the audit finds."""
    migrator.migrate(old)
    with old.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT subject, exported_by, viewed_by, former_payers
                  FROM entitlements ORDER BY subject""")
        )
        kept = [tuple(row) for row in rows]
    with old.transaction() as connection:
        found = {violation.check for violation in audit.run(connection)}
    return kept, found & _CHECKS


def test_each_use_gets_the_charge_that_it_stands_on(old):
    with old.transaction() as connection:
        _history(
            connection,
            "1 0 c1 1 view",
            "2 1 c1 0 1",
            "3 2 c2 1",
            "4 3 c2 0 3 as_quoted",
            "5 400 c2 1",
        )
    assert _upgraded(old) == ([("c1", 1, 1, None), ("c2", 5, None, [3])], set())


def test_an_earlier_payment_stands_again_where_the_later_was_refunded(old):
    with old.transaction() as connection:
        _history(connection, "1 0 c1 1", "2 400 c1 1", "3 401 c1 0 2")
        _refund(connection, 2, 402)
    assert _upgraded(old) == ([("c1", 1, None, None)], set())


def test_a_line_that_stayed_free_after_a_refund_names_whoever_else_had_paid(old):
    with old.transaction() as connection:
        _history(connection, "1 0 c1 1", "2 1 c1 1 view", "3 9 c1 0", "4 9 c2 0")
        _refund(connection, 2, 5)
    kept, found = _upgraded(old)
    assert kept == [("c1", 1, None, None), ("c2", None, None, None)]
    assert found == set()
    with old.transaction() as connection:
        named = connection.execute(
            text("SELECT id, paid_by FROM charges WHERE credits = 0 ORDER BY id")
        )
        assert named.all() == [(3, 1), (4, None)]


def test_an_id_that_was_paid_for_in_two_spellings_has_one_entitlement(old):
    with old.transaction() as connection:
        _history(connection, "1 0 c1_ 1", "2 1 c1 1", "3 2 c1_ 0 1")
    assert _upgraded(old) == ([("c1", 1, None, [2])], set())


def test_who_paid_twice_within_a_window_is_still_told(old):
    with old.transaction() as connection:
        _history(connection, "1 0 c1 1", "2 1 c1 1")
    assert _upgraded(old) == ([("c1", 2, None, [1])], {"one_payer_a_window"})


def test_charges_are_never_changed_after_the_upgrade(old):
    migrator.migrate(old)
    with old.transaction() as connection:
        enabled = connection.execute(
            text(
                "SELECT tgenabled FROM pg_trigger WHERE tgname = 'charges_append_only'"
            )
        )
        assert enabled.scalar_one() == "O"
