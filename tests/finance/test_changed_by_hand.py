"""Whoever changes a row by hand, past triggers and keys, is told of by reconciling."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import LiteralString, NamedTuple

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from pricing.plans import Plan
from storage.database import Database
from storage.finance.reconciliation.runs import Shown
from storage.migrations.migrator import migrate
from tests.support import job_runs
from tests.support.databases import new_database
from tests.support.stored_jobs import refund
from worker.finance.reconciliation import reconciliations, runners
from worker.jobs import submission
from worker.ledger import company_views
from worker.wiring import Wired


class World(NamedTuple):
    """An installation that has done business, and its database's address."""

    deps: Wired
    url: str


def _export(deps: Wired, *contacts: str, **asked: object) -> str:
    job_id = submission.submit(deps, job_runs.quote(deps, contacts, **asked).id)  # type: ignore[arg-type]
    job_runs.run(deps, job_id)
    return job_id


def _do_business(deps: Wired, url: str) -> None:
    job_runs.create_license(deps, plan=Plan.V3)
    job_runs.create_license(deps, "other", plan=Plan.V1)
    job_runs.know(deps, "p1", "p2", "p3")
    _export(deps, "c1/p1", "c1/p2", "c2/p3", "c3", "c4/p4")
    company_views.view(deps, "acme", "user-1", "c9")
    company_views.view(deps, "acme", "user-1", "c1")
    _export(deps, "c1/p1", "c2", "c5/p2", "c9")
    company_views.view(deps, "acme", "user-2", "c10")
    _export(deps, "c1/p1", "c7", license_id="other")
    with deps.database.transaction() as connection:
        charge = connection.execute(
            text("SELECT id FROM charges WHERE subject = 'c3' AND credits > 0")
        ).scalar_one()
        refund(connection, charge, "asked for")
    # As if a vendor had found p1's e-mail.
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE charges SET provider = 'hunter'"
            " WHERE item = 'email' AND subject = 'p1'"
        )
        connection.execute(
            "INSERT INTO findings (person_id, digest, item, provider, value,"
            " email_status, found_at) SELECT subject, digest, 'email', 'hunter',"
            " 'p1@example.com', 'valid', min(charged_at) FROM charges"
            " WHERE item = 'email' AND subject = 'p1' GROUP BY subject, digest"
        )


@pytest.fixture(scope="module")
def world(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Changed by each test, and put back by it."""
    with new_database(server) as url:
        database = Database(url)
        migrate(database)
        database.close()
        address = make_url(url).set(drivername="postgresql")
        plain = address.render_as_string(hide_password=False)
        deps = job_runs.wire_to(url, tmp_path_factory.mktemp("home"))
        with closing(deps.database):
            _do_business(deps, plain)
            yield World(deps, plain)


def _reconcile(world: World, period: str = "open") -> Shown:
    run = runners.run_now(world.deps, period, None)
    return reconciliations.show(world.deps, run.id, limit=1000)


@contextmanager
def _changed(world: World, table: str, change: LiteralString) -> Iterator[int]:
    """A table as somebody has changed it, for as long as the block; how many rows."""
    with psycopg.connect(world.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        name = sql.Identifier(table)
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE kept AS SELECT * FROM {}").format(name)
        )
        rows = connection.execute(change).rowcount
        try:
            yield rows
        finally:
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
            connection.execute(
                sql.SQL(
                    "INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM kept"
                ).format(name)
            )


def test_what_was_not_changed_differs_in_nothing(world):
    shown = _reconcile(world)
    assert shown.differences == []
    assert shown.reasons == []
    assert shown.run.error is None
    assert shown.run.charges == shown.run.recomputed > 0


_JOB = "(SELECT min(id) FROM jobs WHERE license_id = 'acme')"

_CHANGES: dict[str, tuple[LiteralString, ...]] = {
    "periods": (
        "license_id = 'nobody'",
        "starts_at = starts_at - interval '1 day'",
        "granted = granted + 1",
        "reserved = reserved + 1",
        "spent = spent - 1",
        "ended_at = ends_at, expired = granted - reserved - spent",
        "ended_at = holdfast_now(), expired = granted - reserved - spent",
        "ends_at = ends_at + interval '1 day'",
    ),
    "reservations": (
        "license_id = 'nobody'",
        "period_id = 99",
        "job_id = job_id || 'x'",
        "amount = amount + 1, released = released + 1",
        "settled = settled - 1, released = released + 1",
        "released = released + 1, settled = settled - 1",
        "state = 'open', released = 0, closed_at = NULL",
        "closed_at = closed_at - interval '1 day'",
        "closed_at = closed_at - interval '1 second'",
    ),
    "jobs": (
        "license_id = 'nobody'",
        "user_id = 'nobody'",
        "kind = 'push'",
        "quote_id = quote_id || 'x'",
        "state = 'partial'",
        "records = records + 1",
        "finished_at = finished_at - interval '1 day'",
        "finished_at = NULL, state = 'running'",
        "file_artifact = NULL",
        "file_artifact = file_artifact || 'x'",
        "file_bytes = file_bytes + 1",
        "file_sha256 = repeat('0', 64)",
        "keep_file = false",
        "finished_at = finished_at - interval '1 second'",
        "created_at = created_at - interval '1 day'",
        "created_at = created_at + interval '1 second'",
        "error_code = 'given_up'",
    ),
    "quotes": (
        "license_id = 'nobody'",
        "user_id = 'nobody'",
        "kind = 'push'",
        "retrieve = ARRAY['email']",
        "email_level = 'accept_all'",
        "only_with = 'email'",
        """export = '{"format": "csv", "columns": [{"field": "company_id"}]}'""",
        """export = export || '{"skip_exported": true}'""",
        """terms = terms || '{"company": 2}'""",
        """terms = terms || '{"window_days": 7}'""",
        """terms = terms || '{"window_days": "x"}'""",
        """terms = terms || '{"plan": "V9"}'""",
        """terms = terms - 'version'""",
        "quoted_at = quoted_at + interval '1 hour'",
        "expires_at = expires_at - interval '1 day'",
        "quoted_at = quoted_at - interval '1 hour'",
        "quoted_at = quoted_at - interval '400 days'",
        "max_credits = max_credits + 1",
        "lines = '[]'",
        """lines = jsonb_set(lines, '{0,count}', '99')""",
        "records = records + 1",
        "excluded = excluded + 1",
        "input = NULL",
        "input = input || 'x'",
        "columns = ARRAY['person_id', 'company_id']",
        "expires_at = expires_at + interval '1 day'",
    ),
    "chunks": (
        "delivered = delivered - 1, excluded = excluded + 1",
        "excluded = excluded + 1, delivered = delivered - 1",
        "rejected = rejected + 1, delivered = delivered - 1",
        "emails_found = emails_found + 1",
        "phones_found = phones_found + 1",
        "stop = stop + 1, state = 'pending'",
        "first = first - 1, first_line = first_line - 1, delivered = delivered + 1",
        """job_id = (SELECT max(id) FROM jobs), first = first + 10,
           cursor = cursor + 10, stop = stop + 10""",
        "created = delivered",
        "updated = delivered",
        "unchanged = delivered",
    ),
    "outcome_batches": (
        "records[1] = 0, first_record = 0, last_record = 0",
        "company_ids[1] = 'nobody'",
        "person_ids[1] = 'nobody'",
        "outcomes[1] = 'excluded', email_found[1] = false, phone_found[1] = false",
        "email_found[1] = NOT email_found[1]",
        "phone_found[1] = NOT phone_found[1]",
        "changes = array_fill('updated'::text, ARRAY[cardinality(records)])",
        "codes = array_fill('x'::text, ARRAY[cardinality(records)])",
    ),
    "findings": (
        "value = 'other@example.com'",
        "value = NULL, email_status = NULL",
        "email_status = 'invalid'",
        "provider = 'pdl'",
        "person_id = 'p7'",
        "digest = 'other'",
        "item = 'phone', email_status = NULL",
        "found_at = found_at + interval '1 day'",
    ),
    "directory": (
        "email = 'other@example.com'",
        "email_status = 'invalid'",
        "phone = '+1'",
        "person_id = person_id || 'x'",
    ),
    "charges": (
        "license_id = 'other'",
        "period_id = 2",
        "reservation_id = 2",
        "user_id = 'nobody'",
        "item = 'phone'",
        "subject = 'nobody'",
        "digest = 'other'",
        "credits = credits + 1",
        "rule = 'free_as_quoted', credits = 0",
        "charged_at = charged_at + interval '400 days'",
    ),
    "transfers": (
        "license_id = 'other'",
        "period_id = 2",
        "credits = credits + 1",
        """kind = 'grant', from_account = 'outside', to_account = 'available',
           reference = 'x', reservation_id = NULL""",
    ),
    "credit_notes": (
        "license_id = 'other'",
        "number = number + 1",
        "state = 'rejected', number = NULL, decided_by = 'x', counted_as = NULL",
        "job_id = 'nobody'",
        "reason = 'another'",
        "credits = credits + 1",
        "id = id + 1",
    ),
    "credit_note_charges": (
        "credit_note_id = credit_note_id + 1",
        "charge_id = charge_id + 1",
        "state = 'rejected'",
        "period_id = 2",
        "credits = credits + 1",
    ),
    "credit_note_numbers": ("license_id = 'other'", "last = last + 1"),
    "refunds": (
        "credit_note_id = NULL",
        "credit_note_id = credit_note_id + 1",
        "charge_id = charge_id + 1",
        "license_id = 'other'",
        "period_id = 2",
        "job_id = NULL",
        "credits = credits + 1",
    ),
}

_WHICH: dict[str, LiteralString] = {
    "periods": "license_id = 'acme'",
    "reservations": f"job_id = {_JOB}",
    "jobs": f"id = {_JOB}",
    "quotes": f"id = (SELECT quote_id FROM jobs WHERE id = {_JOB})",
    "chunks": f"id = (SELECT min(id) FROM chunks WHERE job_id = {_JOB})",
    "outcome_batches": f"job_id = {_JOB} AND first_record = 1",
    "findings": "true",
    "directory": "person_id = 'p2'",
    "charges": "item = 'company' AND subject = 'c2' AND credits > 0",
    "transfers": "kind = 'settle' AND id = (SELECT max(id) FROM transfers"
    " WHERE kind = 'settle' AND license_id = 'acme')",
    "refunds": "true",
    "credit_notes": "true",
    "credit_note_charges": "true",
    "credit_note_numbers": "true",
}

# What may go, or be said anew, at any time: it is not a difference, and not passed.
_MAY_BE_SO = {
    ("findings", "provider = 'pdl'"),
    ("findings", "person_id = 'p7'"),
    ("findings", "digest = 'other'"),
    ("findings", "item = 'phone', email_status = NULL"),
    ("findings", "found_at = found_at + interval '1 day'"),
    *(("directory", change) for change in _CHANGES["directory"]),
}

# What nothing else says: it is held by what was read of a job at first.
_KNOWN_FROM_BEFORE = {
    ("reservations", "closed_at = closed_at - interval '1 second'"),
    ("jobs", "finished_at = finished_at - interval '1 second'"),
    ("jobs", "created_at = created_at + interval '1 second'"),
    ("jobs", "error_code = 'given_up'"),
    ("quotes", "expires_at = expires_at + interval '1 day'"),
    ("outcome_batches", "codes = array_fill('x'::text, ARRAY[cardinality(records)])"),
    ("quotes", "quoted_at = quoted_at - interval '1 hour'"),
    ("quotes", "quoted_at = quoted_at - interval '400 days'"),
}

_TRIED = [(table, change) for table, some in _CHANGES.items() for change in some]


@pytest.mark.parametrize(("table", "change"), _TRIED)
def test_a_column_changed_by_hand_is_named(world, table, change):
    if (table, change) in _KNOWN_FROM_BEFORE:
        assert _reconcile(world).differences == []
    else:
        with psycopg.connect(world.url) as connection:
            connection.execute("DELETE FROM reconciled_jobs")
    statement = f"UPDATE {table} SET {change} WHERE {_WHICH[table]}"
    with _changed(world, table, statement) as rows:
        shown = _reconcile(world)
    assert rows == 1
    assert shown.run.error is None
    if (table, change) in _MAY_BE_SO:
        assert shown.reasons
        assert shown.run.not_recomputable > 0
    else:
        assert shown.differences


@pytest.mark.parametrize(
    "table",
    [
        *("charges", "transfers", "outcome_batches", "jobs", "refunds"),
        *("credit_notes", "credit_note_charges", "credit_note_numbers"),
    ],
)
def test_a_row_taken_away_by_hand_is_named(world, table):
    statement = f"DELETE FROM {table} WHERE {_WHICH[table]}"
    with _changed(world, table, statement) as rows:
        shown = _reconcile(world)
    assert rows == 1
    assert shown.differences
