"""A broken promise is heard once, stands until mended, and may be acknowledged."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.ledger import audit, audit_verdicts
from storage.ledger.audit_verdicts import AuditRunning, Verdict
from storage.operations.action_log import Acting, Actor
from tests.support import job_runs
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.jobs import submission
from worker.ledger.audit import acknowledge, stand, unheard
from worker.ledger.audit import audit as run_audit
from worker.wiring import Wired

_COUNTERS = "period_counters_are_account_balances"

ADA: Any = {"by": "ada", "acting": Acting(Actor("ada", "a test", person="ada"))}


@pytest.fixture
def deps(broken_database: Database, tmp_path) -> Iterator[Wired]:
    url = broken_database.url.render_as_string(hide_password=False)
    deps = job_runs.wire_to(url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        yield deps


def _change(deps: Wired, statement: str) -> None:
    with deps.database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount > 0


def _break(deps: Wired, by: int = 1, license_id: str = "acme") -> None:
    more = f"UPDATE periods SET granted = granted + {by}"
    _change(deps, f"{more} WHERE license_id = '{license_id}'")


def _verdict(deps: Wired) -> Verdict:
    return stand(deps)[0]


def _told(deps: Wired) -> list[list[str]]:
    """The checks that each event to the operator tells of, the oldest first."""
    with deps.database.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT data FROM operator_events AS e JOIN outbox AS o ON o.key = e.id
                 WHERE o.topic = 'operator.deliver' ORDER BY o.id""")
        ).scalars()
        return [[one["check"] for one in data["violations"]] for data in rows]


def _work(deps: Wired) -> None:
    """Ordinary business, which moves every counter."""
    with deps.database.transaction() as connection:
        number = connection.execute(text("SELECT count(*) FROM jobs")).scalar_one()
    quote = job_runs.quote(deps, [f"company-{number}"])
    job_runs.run(deps, submission.submit(deps, quote.id))


def test_a_sound_ledger_is_ok_once_it_was_audited_and_nobody_is_told(deps):
    assert _verdict(deps) == Verdict(audited_at=None, late=False, violations={})
    assert run_audit(deps) == []
    verdict = _verdict(deps)
    assert (verdict.state, verdict.audited_at is not None) == ("ok", True)
    assert _told(deps) == []


def test_a_violation_is_told_once_and_stands_until_it_is_mended(deps):
    _break(deps)
    (first,) = run_audit(deps)
    assert (first.check, first.acknowledged) == (_COUNTERS, None)
    (again,) = run_audit(deps)
    assert (again.id, again.found_at) == (first.id, first.found_at)
    assert _verdict(deps).violations == {_COUNTERS: 1}
    assert _told(deps) == [[_COUNTERS]]
    _break(deps, by=-1)
    assert run_audit(deps) == []
    assert _verdict(deps).state == "ok"
    _break(deps)
    (later,) = run_audit(deps)
    assert later.id != first.id
    assert _told(deps) == [[_COUNTERS], [_COUNTERS]]


def test_a_violation_is_known_again_whatever_business_does_to_its_numbers(deps):
    _break(deps)
    (first,) = run_audit(deps)
    _work(deps)
    (again,) = run_audit(deps)
    assert again.id == first.id
    assert again.detail != first.detail
    assert len(_told(deps)) == 1


def test_what_was_acknowledged_sounds_no_more_and_all_else_does(deps):
    job_runs.create_license(deps, "globex")
    _break(deps)
    (first,) = run_audit(deps)
    said = acknowledge(deps, first.id, **ADA, reason="a grant by hand").acknowledged
    assert said is not None
    assert (said.by, said.reason, said.refunded) == ("ada", "a grant by hand", None)
    _work(deps)
    (again,) = run_audit(deps)
    assert (again.id, again.acknowledged) == (first.id, said)
    assert unheard([again]) == []
    assert _verdict(deps).state == "ok"
    _break(deps, license_id="globex")
    assert [one.acknowledged for one in run_audit(deps)] == [said, None]
    assert _verdict(deps).violations == {_COUNTERS: 1}
    assert len(_told(deps)) == 2


def test_the_same_promise_broken_by_more_is_another_violation(deps):
    _break(deps)
    (first,) = run_audit(deps)
    acknowledge(deps, first.id, **ADA, reason="known")
    _break(deps, by=5)
    (second,) = run_audit(deps)
    assert (second.id != first.id, second.acknowledged) == (True, None)
    assert _verdict(deps).state == "violated"


def test_what_is_known_hides_nothing_that_is_new(deps):
    for name in ("a", "b", "c"):
        job_runs.create_license(deps, name)
    with deps.database.transaction() as connection:
        connection.execute(text("UPDATE periods SET granted = granted + 1"))
    with deps.database.transaction() as connection:
        found = audit.find(connection, limit=2)
        assert (len(found.violations), found.cut) == (2, [_COUNTERS])
        known = {violation.digest for violation in found.violations}
        more = audit.find(connection, limit=2, known=known)
    assert (len(more.violations), more.cut) == (4, [])


def test_what_a_cut_list_does_not_reach_still_stands(deps):
    _break(deps)
    run_audit(deps)
    with deps.database.transaction() as connection:
        audit_verdicts.take_turn(connection, wait=False)
        audit_verdicts.record(connection, audit.Found([], [_COUNTERS]))
    assert _verdict(deps).violations == {_COUNTERS: 1}


def _charged_twice(deps: Wired) -> int:
    """The later of two charges for one company within a window."""
    for job_id in ("job-1", "job-2"):
        quote = job_runs.quote(deps, ["c1"])
        job_runs.run(deps, submission.submit(deps, quote.id, name=job_id))
        _change(deps, "UPDATE entitlements SET exported_at = '2020-01-01'")
    with deps.database.transaction() as connection:
        charge: int = connection.execute(
            text("SELECT max(id) FROM charges")
        ).scalar_one()
    return charge


def test_an_acknowledgement_may_give_a_charge_back_in_the_same_transaction(deps):
    charge = _charged_twice(deps)
    found = {violation.check: violation for violation in run_audit(deps)}
    violation = found["one_payer_a_window"]
    spent = job_runs.balance(deps).spent
    with pytest.raises(Refused) as refused:
        acknowledge(deps, violation.id, **ADA, reason="x", refund=charge + 99)
    assert refused.value.code is Code.NOT_FOUND
    assert all(one.acknowledged is None for one in stand(deps)[1])
    told = acknowledge(deps, violation.id, **ADA, reason="twice", refund=charge)
    assert told.acknowledged is not None
    assert told.acknowledged.refunded == charge
    assert job_runs.balance(deps).spent == spent - 1
    with deps.database.transaction() as connection:
        reason = connection.execute(text("SELECT reason FROM refunds")).scalar_one()
    assert reason == f"audit, violation {violation.id}: twice"
    assert run_audit(deps) == []


def test_an_acknowledgement_is_refused_without_words_a_violation_or_twice(deps):
    _break(deps)
    (violation,) = run_audit(deps)
    with pytest.raises(BadInput):
        acknowledge(deps, violation.id, **ADA, reason=" ")
    with pytest.raises(Refused) as nobody:
        acknowledge(deps, violation.id + 1, **ADA, reason="x")
    acknowledge(deps, violation.id, **ADA, reason="x")
    with pytest.raises(Refused) as twice:
        acknowledge(deps, violation.id, **ADA, reason="y")
    assert (nobody.value.code, twice.value.code) == (Code.NOT_FOUND, Code.WRONG_STATE)
    with (
        pytest.raises(IntegrityError, match="never changed"),
        deps.database.transaction() as connection,
    ):
        connection.execute(text("DELETE FROM audit_acknowledgements"))


def test_one_audit_runs_at_a_time(deps):
    other = job_runs.wire_to(
        deps.database.url.render_as_string(hide_password=False), deps.settings.home
    )
    with closing(other.database), other.database._engine.begin() as connection:
        audit_verdicts.take_turn(connection, wait=False)
        with pytest.raises(AuditRunning):
            run_audit(deps, wait=False)
    assert run_audit(deps, wait=False) == []


def test_an_audit_that_has_not_run_for_long_is_late(deps):
    run_audit(deps)
    _change(deps, "UPDATE audit_runs SET finished_at = finished_at - interval '1 day'")
    assert _verdict(deps).state == "late"


def test_an_event_is_told_as_json(deps):
    _break(deps)
    (violation,) = run_audit(deps)
    with deps.database.transaction() as connection:
        data = connection.execute(
            text("SELECT CAST(data AS text) FROM operator_events")
        ).scalar_one()
    assert json.loads(data) == {
        "violations": [
            {"id": violation.id, "check": _COUNTERS, "detail": violation.detail}
        ],
        "counts": {_COUNTERS: 1},
        "more_in": [],
    }


def test_a_check_may_take_longer_than_any_other_statement(deps, tmp_path):
    quote = job_runs.quote(deps, ["c1"])
    job_runs.run(deps, submission.submit(deps, quote.id, name="job-1"))
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                CREATE OR REPLACE FUNCTION holdfast_trimmed(id text) RETURNS text
                LANGUAGE plpgsql VOLATILE AS
                $$ BEGIN PERFORM pg_sleep(1.5); RETURN id; END $$""")
        )
    url = deps.database.url.render_as_string(hide_password=False)
    hasty = job_runs.wire_to(url, tmp_path, database_timeout_s=1)
    with closing(hasty.database):
        assert run_audit(hasty) == []
