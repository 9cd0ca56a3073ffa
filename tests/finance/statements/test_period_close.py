"""A period is closed once and for good, and each row of it is in one frozen run."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from pricing.plans import PaymentTerm
from storage.finance.statements import statement_runs
from storage.ledger import audit
from storage.operations.action_log import Acting, Actor
from storage.refunds.refunds import RefundResult
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import charge_of, end_job, make_job, refund, settle
from worker.finance.chain.sealer import seal
from worker.finance.statements import period_close, statements
from worker.finance.statements.period_close import StatementFreezer
from worker.infrastructure.clock import instant
from worker.infrastructure.errors import Code, Refused
from worker.ledger import ended_periods
from worker.wiring import Wired

BY = Acting(Actor("ann", "a test"), "the month is over")


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, pool=20)
    with closing(wired.database):
        job_runs.create_license(wired, term=PaymentTerm.MONTHLY)
        yield wired


def _month(deps: Wired) -> str:
    with deps.database.reading() as connection:
        first = text("SELECT min(starts_at) FROM periods")
        return str(instant(connection.execute(first).scalar_one()))


def _job(deps: Wired, job: str, claims: int, *, ends: bool = True) -> None:
    with deps.database.transaction() as connection:
        make_job(connection, job, claims)
        settle(connection, job, *(f"company:{job}-{n}=1" for n in range(claims)))
        if ends:
            end_job(connection, job)


def _is_over(deps: Wired) -> None:
    shift_to(deps.database, 32 * DAY_S)


def _close(deps: Wired) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        period_close.close(deps, "acme", _month(deps), BY)
    )
    return document


def _shown(deps: Wired, run: int | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        statements.show(deps, "acme", _month(deps), run).document
    )
    return document


def _refused(deps: Wired) -> Refused:
    with pytest.raises(Refused) as refused:
        _close(deps)
    return refused.value


def _refund(deps: Wired, job: str, claim: int) -> RefundResult:
    with deps.database.transaction() as connection:
        charge = charge_of(connection, job, f"company:{job}-{claim}")
        return refund(connection, charge, "a reason")


def _count(deps: Wired, query: str) -> int:
    with deps.database.reading() as connection:
        return int(connection.execute(text(query)).scalar_one())


def _credits(document: dict[str, Any], kind: str) -> int:
    (line,) = (one for one in document["movements"] if one["kind"] == kind)
    return int(line["credits"])


@contextmanager
def _under_way(deps: Wired) -> Iterator[Connection]:
    """A transaction that has written something, and ends with the block."""
    with deps.database.transaction() as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        yield connection


def _sealed_and_frozen(deps: Wired) -> None:
    """What the dispatcher does each minute."""
    seal(deps)
    StatementFreezer(deps).turn()


def _wait_until_somebody_waits(deps: Wired) -> None:
    waiting = text("""
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'""")
    while True:
        with deps.database.reading() as connection:
            if connection.execute(waiting).scalar_one():
                return


# -- What may be closed.


def test_a_period_that_runs_is_not_closed(deps):
    assert _refused(deps).code is Code.WRONG_STATE
    assert _count(deps, "SELECT count(*) FROM actions") == 0


def test_a_period_that_a_wrong_clock_has_ended_is_not_closed(deps):
    _is_over(deps)
    ended_periods_of = "SELECT count(*) FROM periods WHERE ended_at IS NOT NULL"
    statements.show(deps, "acme")
    assert _count(deps, ended_periods_of) == 1
    shift_to(deps.database, 0)
    assert _refused(deps).code is Code.WRONG_STATE
    assert _count(deps, "SELECT count(*) FROM statements") == 0


def test_jobs_that_hold_reservations_are_named_and_nothing_is_closed(deps):
    for job in ("one", "two"):
        _job(deps, job, 2, ends=False)
    with deps.database.transaction() as connection:
        make_job(connection, "free", 0)
    _is_over(deps)
    refused = _refused(deps)
    assert refused.code is Code.WRONG_STATE
    assert refused.detail.endswith("one, two, free")
    with deps.database.transaction() as connection:
        end_job(connection, "one")
        end_job(connection, "two")
    # One that reserves nothing may settle all the same.
    assert _refused(deps).detail.endswith(": free")
    assert _count(deps, "SELECT count(*) FROM periods WHERE closed_at IS NOT NULL") == 0


def test_there_must_be_such_a_period(deps):
    with pytest.raises(Refused) as refused:
        period_close.close(deps, "acme", "1999-01", BY)
    assert refused.value.code is Code.NOT_FOUND


# -- What is frozen.


def test_a_closed_period_is_answered_to_the_byte_whatever_comes_later(deps):
    _job(deps, "job", 5)
    _is_over(deps)
    document = period_close.close(deps, "acme", _month(deps), BY)
    frozen = json.loads(document)
    assert frozen["frozen_at"] is not None
    assert frozen["closing"] == {
        "available": 0,
        "reserved": 0,
        "spent": 5,
        "expired": 495,
    }
    assert _refund(deps, "job", 0) is RefundResult.REFUNDED
    for _ in range(2):
        assert period_close.close(deps, "acme", _month(deps), BY) == document
        assert statements.show(deps, "acme", _month(deps)).document == document
    assert _count(deps, "SELECT count(*) FROM actions WHERE verb = 'close_period'") == 1


def test_later_refunds_make_supplements_that_go_on_where_the_one_before_ended(deps):
    _job(deps, "job", 5)
    _is_over(deps)
    _close(deps)
    for run, claims in ((2, (0, 1)), (3, (2,))):
        for claim in claims:
            _refund(deps, "job", claim)
        # Before it is frozen, the same is shown as what has moved since.
        open_run = _shown(deps, run)
        _sealed_and_frozen(deps)
        _sealed_and_frozen(deps)
        frozen = _shown(deps, run)
        assert open_run["movements"] == frozen["movements"]
        assert (open_run["frozen_at"], frozen["run"]) == (None, run)
        assert (
            _credits(frozen, "refunded") == _credits(frozen, "expired") == len(claims)
        )
        assert frozen["opening"] == _shown(deps, run - 1)["closing"]
        (job,) = frozen["by_job"]
        assert (job["credits"], job["refunded"]) == (0, len(claims))
        assert [line["kind"] for line in frozen["late"]] == ["refunded"]
    assert _shown(deps, 3)["closing"]["spent"] == 2
    assert _count(deps, "SELECT max(run) FROM statements") == 3
    # All runs together are the period as its counters have it.
    assert _count(deps, "SELECT spent FROM periods WHERE closed_at IS NOT NULL") == 2


def _head(deps: Wired, license_id: str = "acme") -> str | None:
    """The last head of a license's chain, as the chain has it."""
    with deps.database.reading() as connection:
        links = text("""
            SELECT encode(head, 'hex') FROM chain_links
             WHERE license_id = :license_id ORDER BY position DESC LIMIT 1""")
        row = connection.execute(links, {"license_id": license_id})
        return row.scalar_one_or_none()


def test_each_run_stands_with_the_head_that_its_rows_are_sealed_by(deps):
    _job(deps, "job", 5)
    assert _shown(deps)["head"] is None
    seal(deps)
    assert _shown(deps)["head"] == _head(deps)
    _is_over(deps)
    first = _close(deps)["head"]
    assert first == _head(deps)
    assert len(first) == 64
    _refund(deps, "job", 0)
    _sealed_and_frozen(deps)
    assert _shown(deps, 2)["head"] == _head(deps) != first
    assert _shown(deps)["head"] == first


def test_what_is_not_sealed_is_in_no_frozen_run(deps):
    _job(deps, "job", 5)
    _is_over(deps)
    _close(deps)
    _refund(deps, "job", 0)
    # Whoever looks for what is due before the next seal freezes nothing.
    StatementFreezer(deps).turn()
    assert _count(deps, "SELECT max(run) FROM statements") == 1
    assert _credits(_shown(deps, 2), "refunded") == 1
    _sealed_and_frozen(deps)
    assert _count(deps, "SELECT max(run) FROM statements") == 2


def test_webhooks_are_told_of_each_run(deps):
    _job(deps, "job", 2)
    _is_over(deps)
    _close(deps)
    _refund(deps, "job", 0)
    _sealed_and_frozen(deps)
    with deps.database.reading() as connection:
        happened = text("SELECT data FROM events WHERE type = 'statement.frozen'")
        told = sorted(
            connection.execute(happened).scalars(), key=lambda data: data["run"]
        )
    assert [data["run"] for data in told] == [1, 2]
    assert [data["closing"]["spent"] for data in told] == [2, 1]
    assert all(data["starts_at"] == _month(deps) for data in told)


def test_a_month_in_which_nothing_was_bought_is_closed_too(deps):
    _is_over(deps)
    assert _close(deps)["closing"]["expired"] == 500


def test_the_next_month_names_the_frozen_run_before_it(deps):
    _is_over(deps)
    frozen = _close(deps)
    now = json.loads(statements.show(deps, "acme").document)
    assert now["previous"]["run"] == 1
    assert now["previous"]["closing"] == frozen["closing"]
    assert now["previous"]["head"] == frozen["head"]


def test_what_is_closed_is_never_reopened_whatever_the_clock_says(deps):
    _is_over(deps)
    _close(deps)
    shift_to(deps.database, 0)
    with deps.database.reading() as connection:
        first = connection.execute(
            text("SELECT min(starts_at) FROM periods")
        ).scalar_one()
    with pytest.raises(Refused) as refused:
        ended_periods.reopen(deps, "acme", first)
    assert "closed for good" in refused.value.detail


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE statements SET document = '{}'",
        "DELETE FROM statements",
        "TRUNCATE statements",
        "UPDATE periods SET closed_at = NULL, closed_in = NULL",
        "UPDATE periods SET closed_at = now() WHERE closed_at IS NOT NULL",
        "UPDATE periods SET ended_at = NULL, expired = 0 WHERE closed_at IS NOT NULL",
        """INSERT INTO statements (period_id, run, license_id, since, until,
                  previous_run, available, reserved, spent, expired, document)
           SELECT period_id, 2, license_id, until - 1, until + 9, 1, 0, 0, 0, 0, '{}'
             FROM statements""",
        """INSERT INTO statements (period_id, run, license_id, since, until,
                  previous_run, available, reserved, spent, expired, document)
           SELECT period_id, 3, license_id, until, until + 9, 2, 0, 0, 0, 0, '{}'
             FROM statements""",
    ],
)
def test_the_database_itself_keeps_what_is_closed_and_frozen(deps, statement):
    _is_over(deps)
    _close(deps)
    with pytest.raises(DBAPIError), deps.database.transaction() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE statements SET spent = spent - 1, expired = expired + 1",
        "UPDATE statements SET until = 9",
        "UPDATE transfers SET credits = credits + 1 WHERE kind = 'refund'",
        "UPDATE periods SET stated_spent = 1 WHERE closed_at IS NOT NULL",
    ],
)
def test_the_audit_sees_where_a_frozen_run_is_not_what_was_moved(
    broken_database, tmp_path, change
):
    url = broken_database.url.render_as_string(hide_password=False)
    deps = job_runs.wire_to(url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps, term=PaymentTerm.MONTHLY)
        _job(deps, "job", 5)
        _is_over(deps)
        _refund(deps, "job", 0)
        _close(deps)
        with deps.database.transaction() as connection:
            assert audit.run(connection) == []
        with deps.database.transaction() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(change)).rowcount
        with deps.database.transaction() as connection:
            found = {violation.check for violation in audit.run(connection)}
        assert "frozen_statements_are_their_transfers" in found


# -- Whoever comes at the same moment.


def test_a_settlement_that_commits_late_is_in_the_first_run_or_keeps_the_period_open(
    deps,
):
    _job(deps, "done", 3)
    with deps.database.transaction() as connection:
        make_job(connection, "slow", 4)
    _is_over(deps)
    with ThreadPoolExecutor(2) as threads:
        with deps.database.transaction() as connection:
            # Stamped before the closing, and committed after it was asked for.
            settle(connection, "slow", "company:s1=1", "company:s2=1")
            refused = threads.submit(_refused, deps).result(timeout=30)
            assert refused.detail.endswith(": slow")
        with deps.database.transaction() as connection:
            end_job(connection, "slow")
            # Its release is not committed either: whoever closes now waits for it.
            closed = threads.submit(_close, deps)
            threads.submit(_wait_until_somebody_waits, deps).result(timeout=30)
        document = closed.result(timeout=30)
    assert document["closing"]["spent"] == 5
    assert _credits(document, "released") == 2


def test_a_refund_that_commits_while_it_is_closed_is_in_one_run_and_in_one_alone(deps):
    _job(deps, "job", 40)
    _is_over(deps)
    statements.show(deps, "acme")
    barrier = Barrier(9)

    def refund_some(part: int) -> None:
        barrier.wait(timeout=30)
        for claim in range(part * 5, part * 5 + 5):
            assert _refund(deps, "job", claim) is RefundResult.REFUNDED

    def close_once() -> None:
        barrier.wait(timeout=30)
        # What is under way below it may keep its statement from being frozen yet.
        with suppress(Refused):
            _close(deps)

    with ThreadPoolExecutor(9) as threads:
        done = [threads.submit(refund_some, part) for part in range(8)]
        done.append(threads.submit(close_once))
        for one in done:
            one.result(timeout=60)
    _sealed_and_frozen(deps)
    runs = _count(deps, "SELECT max(run) FROM statements")
    refunded = [_credits(_shown(deps, run), "refunded") for run in range(1, runs + 1)]
    assert sum(refunded) == 40
    assert _shown(deps, runs)["closing"] == {
        "available": 0,
        "reserved": 0,
        "spent": 0,
        "expired": 500,
    }
    assert _count(deps, "SELECT count(*) FROM statements WHERE spent < 0") == 0


def test_many_who_close_at_once_close_it_once(deps):
    _job(deps, "job", 5)
    _is_over(deps)
    barrier = Barrier(8)

    def close() -> str:
        barrier.wait(timeout=30)
        return period_close.close(deps, "acme", _month(deps), BY)

    with ThreadPoolExecutor(8) as threads:
        documents = {
            one.result(timeout=60) for one in [threads.submit(close) for _ in range(8)]
        }
    assert len(documents) == 1
    assert _count(deps, "SELECT count(*) FROM statements") == 1
    assert _count(deps, "SELECT count(*) FROM actions") == 1


def test_whoever_closes_and_is_gone_before_it_is_frozen_is_followed_by_the_chore(deps):
    _job(deps, "job", 5)
    _is_over(deps)
    with ThreadPoolExecutor(1) as threads, _under_way(deps):
        # What has begun before may still commit rows of below the closing.
        refused = threads.submit(_refused, deps).result(timeout=30)
        threads.submit(_sealed_and_frozen, deps).result(timeout=30)
        closed = threads.submit(
            _count, deps, "SELECT count(*) FROM periods WHERE closed_at IS NOT NULL"
        )
        assert closed.result(timeout=30) == 1
    assert refused.code is Code.UNAVAILABLE
    assert _count(deps, "SELECT count(*) FROM statements") == 0
    _sealed_and_frozen(deps)
    with deps.database.reading() as connection:
        (period,) = connection.execute(
            text("SELECT id FROM periods WHERE closed_at IS NOT NULL")
        ).scalars()
        frozen = statement_runs.run(connection, period, 1)
    assert frozen is not None
    assert json.loads(frozen.document) == _close(deps)


def test_one_period_that_does_not_add_up_is_not_frozen_and_keeps_no_other(deps):
    job_runs.create_license(deps, "globex", term=PaymentTerm.MONTHLY)
    _job(deps, "job", 5)
    _is_over(deps)
    statements.show(deps, "globex")
    statements.show(deps, "acme")
    with ThreadPoolExecutor(1) as threads, _under_way(deps):
        for license_id in ("acme", "globex"):

            def close(license_id: str = license_id) -> None:
                with pytest.raises(Refused):
                    period_close.close(deps, license_id, _month(deps)[:7], BY)

            threads.submit(close).result(timeout=30)
    with deps.database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE charges SET credits = 2 WHERE id = 1"))
    _sealed_and_frozen(deps)
    with deps.database.transaction() as connection:
        frozen = connection.execute(text("SELECT license_id FROM statements"))
        assert list(frozen.scalars()) == ["globex"]
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE charges SET credits = 1 WHERE id = 1"))
    _sealed_and_frozen(deps)
    assert _count(deps, "SELECT count(*) FROM statements") == 2
