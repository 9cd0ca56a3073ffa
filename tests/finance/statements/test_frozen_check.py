"""A frozen run is held against the ledger, and whatever was changed by hand is told."""

from contextlib import closing

import pytest
from sqlalchemy import text

from pricing.plans import PaymentTerm
from storage.operations.action_log import Acting, Actor
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import charge_of, end_job, make_job, refund, settle
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home
from worker.finance.chain.sealer import seal
from worker.finance.statements import frozen_check, period_close
from worker.finance.statements.period_close import StatementFreezer
from worker.infrastructure.clock import instant
from worker.ledger import balances

BY = Acting(Actor("ann", "a test"))


@pytest.fixture
def deps(broken_database, tmp_path):
    url = broken_database.url.render_as_string(hide_password=False)
    wired = job_runs.wire_to(url, tmp_path / "home")
    with closing(wired.database):
        _close_a_month(wired)
        yield wired


def _close_a_month(deps) -> None:
    """A closed month with a supplement."""
    job_runs.create_license(deps, term=PaymentTerm.MONTHLY)
    balances.top_up(deps, "acme", 7, "invoice 1")
    with deps.database.transaction() as connection:
        make_job(connection, "job", 4)
        settle(connection, "job", "company:a=1", "company:b=1", "company:c=0")
        end_job(connection, "job")
        first = text("SELECT min(starts_at) FROM periods")
        starts_at = instant(connection.execute(first).scalar_one())
    shift_to(deps.database, 32 * DAY_S)
    assert starts_at is not None
    period_close.close(deps, "acme", starts_at, BY)
    with deps.database.transaction() as connection:
        charge = charge_of(connection, "job", "company:a")
        refund(connection, charge, "a reason")
    seal(deps)
    StatementFreezer(deps).turn()


def test_what_is_as_it_was_frozen_has_no_difference(deps):
    assert frozen_check.check(deps, "acme") == (2, [])


@pytest.mark.parametrize(
    ("change", "runs", "words"),
    [
        ("UPDATE transfers SET credits = 3 WHERE kind = 'settle'", {1}, "settled"),
        ("UPDATE transfers SET reference = 'i' WHERE credits = 7", {1}, "top_up i"),
        ("DELETE FROM transfers WHERE kind = 'reserve'", {1}, "reserved"),
        ("UPDATE charges SET user_id = 'eve' WHERE subject = 'b'", {1}, "user eve"),
        ("UPDATE charges SET item = 'email' WHERE subject = 'c'", {1}, "item email"),
        ("UPDATE charges SET job_id = 'other' WHERE subject = 'b'", {1}, "job other"),
        ("DELETE FROM refunds", {2}, "item company"),
        ("UPDATE refunds SET refunded_at = now()", {2}, "late refunded"),
        ("UPDATE statements SET head = 'x'", {1, 2}, "its head"),
        ("UPDATE statements SET expired = 9 WHERE run = 2", {2}, "it leaves"),
        ("UPDATE statements SET document = '{}' WHERE run = 1", {1}, "be read"),
        ("UPDATE statements SET document = 'x' WHERE run = 1", {1}, "cannot be read"),
        (
            "UPDATE statements SET document = ' ' || document WHERE run = 1",
            {1},
            "spelled",
        ),
        (
            """UPDATE statements
                  SET document = replace(document, '"acme"', '"blix"')""",
            {1, 2},
            "of something else",
        ),
        (
            """UPDATE statements SET document = replace(document,
                 '"kind":"settled","credits":2', '"kind":"settled","credits":1')""",
            {1},
            "settled",
        ),
    ],
)
def test_whatever_was_changed_by_hand_is_named(deps, change, runs, words):
    with deps.database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.exec_driver_sql(change).rowcount
    checked, found = frozen_check.check(deps, "acme")
    assert checked == 2
    assert {one.run for one in found} == runs
    assert any(words in one.what for one in found), found


def test_the_command_line_exits_1_where_something_is_not_as_it_was_frozen(deps):
    url = deps.database.url.render_as_string(hide_password=False)
    terminal = WarmTerminal(deps.settings.home, url)
    try:
        answer = terminal.answer("statement", "acme", "--check")
        assert answer == {"license": "acme", "checked": 2, "differences": []}
        with deps.database.transaction() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("UPDATE statements SET head = 'x' WHERE run = 2"))
        done = terminal.run("statement", "acme", "--check")
        assert done.returncode == 1
        assert "run 2: its head is not the chain's" in done.stdout
    finally:
        remove_home(terminal.home)
