"""Periods that a wrong clock has ended run again, and no credit is lost or doubled."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime

import pytest
from sqlalchemy import text

from pricing.plans import PaymentTerm
from storage.ledger import audit, periods
from storage.ledger.periods import ReopenResult
from storage.licenses import licenses as kept_licenses
from storage.refunds.refunds import RefundResult
from storage.webhooks import webhooks
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)
from worker.infrastructure.errors import Code, Refused
from worker.jobs.sweeper import sweep
from worker.ledger import balances, ended_periods
from worker.licenses import licenses
from worker.wiring import Wired

ROUNDS = 20


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    wired = job_runs.wire_to(database_url, tmp_path, pool=10)
    with closing(wired.database):
        job_runs.create_license(wired, term=PaymentTerm.MONTHLY)
        with wired.database.transaction() as connection:
            # What nobody wants to be told of is put into no order.
            webhooks.create(
                connection,
                "wh_1",
                "acme",
                url="https://example.com/",
                events=["period.closed", "period.reopened"],
                secret="sealed",
            )
        yield wired


def _start_of(deps: Wired, license_id: str = "acme") -> datetime:
    with deps.database.transaction() as connection:
        found = kept_licenses.get(connection, license_id)
    assert found is not None
    return found.starts_at


def _end_wrongly(deps: Wired, *, days: float = 40) -> None:
    """Somebody confirms a time that lies ahead, and takes it back."""
    shift_to(deps.database, days * DAY_S)
    sweep(deps)
    shift_to(deps.database, 0)


def _rows(deps: Wired, query: str) -> list[tuple[object, ...]]:
    with deps.database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _transfers(deps: Wired) -> dict[object, object]:
    query = "SELECT kind, sum(credits)::int FROM transfers GROUP BY kind"
    return {row[0]: row[1] for row in _rows(deps, query)}


def _events(deps: Wired) -> list[object]:
    query = """
        SELECT type FROM outbox JOIN events ON outbox.key = events.id
         WHERE type LIKE 'period.%' ORDER BY outbox.id"""
    return [type_ for (type_,) in _rows(deps, query)]


def _audit(deps: Wired) -> list[audit.Violation]:
    with deps.database.transaction() as connection:
        return audit.run(connection)


def _refusal(deps: Wired, starts_at: datetime) -> Code:
    with pytest.raises(Refused) as refused:
        ended_periods.reopen(deps, "acme", starts_at)
    return refused.value.code


def test_a_period_that_was_ended_wrongly_runs_again_with_all_that_had_expired(deps):
    with deps.database.transaction() as connection:
        for job_id in ("closed before", "closed after", "refunded", "open"):
            make_job(connection, job_id, 10)
            settle(connection, job_id, f"company:{job_id}=1")
        end_job(connection, "closed before")
        end_job(connection, "refunded")
    _end_wrongly(deps)
    with deps.database.transaction() as connection:
        end_job(connection, "closed after")
        charge = charge_of(connection, "refunded", "company:refunded")
        assert refund(connection, charge, "a test") is RefundResult.REFUNDED
    expired = 500 - 3 - 10 + 1
    period = ended_periods.reopen(deps, "acme", _start_of(deps))
    assert (period.ended_at, period.expired) == (None, 0)
    assert _audit(deps) == []
    assert _transfers(deps)["expire"] == _transfers(deps)["reopen"] == expired
    balance = balances.balance_of(deps, "acme")
    assert (balance.spent, balance.reserved, balance.available) == (3, 9, 488)
    with deps.database.transaction() as connection:
        end_job(connection, "open")
    assert balances.balance_of(deps, "acme").available == 497


def test_a_period_that_runs_is_left_as_it_is(deps):
    _end_wrongly(deps)
    for _ in range(3):
        ended_periods.reopen(deps, "acme", _start_of(deps))
    assert _transfers(deps) == {"grant": 500, "expire": 500, "reopen": 500}
    assert _events(deps) == ["period.closed", "period.reopened"]


def test_a_period_that_ran_again_ends_once_more_when_its_time_has_come(deps):
    for _ in range(2):
        _end_wrongly(deps)
        ended_periods.reopen(deps, "acme", _start_of(deps))
    shift_to(deps.database, 32 * DAY_S)
    assert balances.balance_of(deps, "acme").available == 500
    sweep(deps)
    assert _events(deps) == ["period.closed", "period.reopened"] * 2 + ["period.closed"]
    query = "SELECT granted, expired FROM periods ORDER BY starts_at"
    assert _rows(deps, query) == [(500, 500), (500, 0)]


def test_the_next_period_keeps_its_grant_and_gets_no_other(deps):
    shift_to(deps.database, 40 * DAY_S)
    assert balances.balance_of(deps, "acme").available == 500
    balances.top_up(deps, "acme", 20, "invoice-1")
    shift_to(deps.database, 0)
    ended_periods.reopen(deps, "acme", _start_of(deps))
    assert balances.balance_of(deps, "acme").available == 500
    shift_to(deps.database, 40 * DAY_S)
    assert balances.balance_of(deps, "acme").available == 520
    assert _transfers(deps)["grant"] == 1020


def test_periods_that_were_ended_in_a_row_are_reopened_from_the_last_on(deps):
    starts_at = _start_of(deps)
    for days in (40, 70):
        shift_to(deps.database, days * DAY_S)
        balances.balance_of(deps, "acme")
    shift_to(deps.database, 0)
    query = "SELECT starts_at, ended_at IS NOT NULL FROM periods ORDER BY starts_at"
    (_, second, third) = _rows(deps, query)
    assert (second[1], third[1]) == (True, False)
    assert _refusal(deps, starts_at) is Code.WRONG_STATE
    assert isinstance(second[0], datetime)
    ended_periods.reopen(deps, "acme", second[0])
    assert ended_periods.reopen(deps, "acme", starts_at).ended_at is None
    assert balances.balance_of(deps, "acme").starts_at == starts_at


@pytest.mark.parametrize("use", ["reserves", "reserves nothing", "refunds", "ends"])
def test_once_the_next_period_was_used_nothing_is_taken_back(deps, use):
    starts_at = _start_of(deps)
    shift_to(deps.database, 40 * DAY_S)
    with deps.database.transaction() as connection:
        periods.open_current(connection, "acme")
        if use != "ends":
            make_job(connection, "job-1", 0 if use == "reserves nothing" else 10)
        if use == "refunds":
            settle(connection, "job-1", "company:c1=1")
            end_job(connection, "job-1")
            refund(connection, charge_of(connection, "job-1", "company:c1"), "a test")
    if use == "ends":
        shift_to(deps.database, 70 * DAY_S)
        sweep(deps)
    shift_to(deps.database, 0)
    before = _rows(deps, "SELECT * FROM periods ORDER BY id")
    assert _refusal(deps, starts_at) is Code.WRONG_STATE
    assert _rows(deps, "SELECT * FROM periods ORDER BY id") == before


def test_what_is_over_stays_ended_and_what_never_was_is_not_found(deps):
    starts_at = _start_of(deps)
    shift_to(deps.database, 40 * DAY_S)
    sweep(deps)
    assert _refusal(deps, starts_at) is Code.WRONG_STATE
    assert _refusal(deps, starts_at.replace(year=1999)) is Code.NOT_FOUND
    with pytest.raises(Refused) as refused:
        ended_periods.reopen(deps, "nobody", starts_at)
    assert refused.value.code is Code.NOT_FOUND


def test_reopening_while_a_job_ends_and_others_reopen_loses_no_credit(deps):
    names = [f"license-{number}" for number in range(ROUNDS)]
    with deps.database.transaction() as connection:
        for name in names:
            make_license(connection, name, term=PaymentTerm.MONTHLY)
            make_job(connection, f"job of {name}", 60, license_id=name)
            settle(connection, f"job of {name}", f"company:{name}=1")
    _end_wrongly(deps)

    def reopen(name: str) -> str:
        starts_at = _start_of(deps, name)
        with deps.database.transaction() as connection:
            return periods.reopen(connection, name, starts_at)

    def close(name: str) -> str:
        with deps.database.transaction() as connection:
            return str(end_job(connection, f"job of {name}"))

    def end(name: str) -> str:
        with deps.database.transaction() as connection:
            return str(periods.end(connection, license_id=name))

    with ThreadPoolExecutor(4) as threads:
        for name in names:
            done = [threads.submit(act, name) for act in (reopen, close, reopen, end)]
            results = [future.result() for future in done]
            assert results.count(ReopenResult.REOPENED) == 1
            assert results.count(ReopenResult.IS_OPEN) == 1
    query = """
        SELECT DISTINCT granted, reserved, spent, expired, ended_at, reopened
          FROM periods WHERE license_id LIKE 'license-%'"""
    assert _rows(deps, query) == [(500, 0, 1, 0, None, 1)]
    assert _audit(deps) == []


# -- A payment term, changed within a period --------------------------------------


def test_a_term_changed_and_changed_back_leaves_the_calendar_as_it_was(deps):
    monthly, yearly = PaymentTerm.MONTHLY, PaymentTerm.YEARLY
    with deps.database.transaction() as connection:
        now = kept_licenses.business_now(connection)
        start = now.replace(year=now.year + 1, month=1, day=31)
        shift_s = (start - now).total_seconds()
    shift_to(deps.database, shift_s)
    for name in ("left", "back", "twice"):
        job_runs.create_license(deps, name, term=monthly)
    changes = {"back": [yearly, monthly], "twice": [yearly, monthly, monthly, yearly]}
    for name, terms in changes.items():
        for term in terms:
            change = kept_licenses.Change(payment_term=term)
            licenses.change_license(deps, name, change)
    for days in range(20, 100, 20):
        shift_to(deps.database, shift_s + days * DAY_S)
        for name in ("left", "back", "twice"):
            licenses.open_license(deps, name)
    query = """
        SELECT license_id, to_char(ends_at, 'MM-DD') FROM periods
         WHERE license_id <> 'acme' ORDER BY license_id, starts_at"""
    ends: dict[object, list[object]] = {}
    for license_id, end in _rows(deps, query):
        ends.setdefault(license_id, []).append(end)
    assert ends["back"] == ends["left"]
    assert "03-31" in ends["back"]
    assert ends["twice"][0] == ends["left"][0]
    assert (len(ends["left"]), len(ends["twice"])) == (3, 2)
