"""What is paused besides jobs: what it holds and says, and which deadlines stop."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from sqlalchemy import text

from pricing.settlement import Outcome
from storage.findings import lookups
from storage.jobs import chunks, dispatch_queue, lost_work
from storage.jobs.chunks import Batch
from storage.jobs.outcomes import RecordOutcome
from storage.listener import WORK
from storage.operations import action_log
from storage.operations import scope_pauses as kept_pauses
from storage.operations.action_log import Acting, Actor, WantedActions
from storage.pause_scope import PauseScope
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to
from tests.support.stored_jobs import LIFETIME_S, make_job
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.infrastructure.task_results import Never
from worker.jobs import job_control, submission
from worker.jobs.chunk_runner import run_chunk
from worker.jobs.sweeper import sweep
from worker.operations.scope_pauses import pause_of, pause_scope, resume_scope

_EVERYTHING = (PauseScope.EVERYTHING, "")
_ACME = (PauseScope.LICENSE, "acme")
_CRM = (PauseScope.CONNECTION, "con_acme")
_HUNTER = (PauseScope.PROVIDER, "hunter")
_REASONS = {
    _EVERYTHING: "all_paused",
    _ACME: "license_paused",
    _CRM: "connection_paused",
}
_DOUBT_S = 5 * DAY_S


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(database_url, tmp_path, push_doubt_s=_DOUBT_S)
    with closing(wired.database):
        for license_id in ("acme", "other"):
            job_runs.create_license(wired, license_id)
            _connection(wired, f"con_{license_id}", license_id)
        yield wired


def _run(deps, statement: str, **names: object) -> None:
    with deps.database.transaction() as connection:
        connection.execute(text(statement), names)


def _scalar(deps, query: str, **names: object):
    with deps.database.reading() as connection:
        return connection.execute(text(query), names).scalar_one()


def _connection(deps, connection_id: str, license_id: str) -> None:
    _run(
        deps,
        """
        INSERT INTO connections (id, license_id, connector, name, settings, secrets)
        VALUES (:id, :license_id, 'webhook', 'Ours', '{}', '')""",
        id=connection_id,
        license_id=license_id,
    )


def _push(deps, job_id: str, license_id: str = "acme", chunks_: int = 1) -> None:
    """A push to the connection of its license that retrieves e-mails."""
    with deps.database.transaction() as connection:
        make_job(connection, job_id, 0, license_id=license_id, chunks=[2] * chunks_)
        connection.execute(
            text("""
                UPDATE quotes SET retrieve = '{email}',
                       push = jsonb_build_object('connection', 'con_' || license_id)
                 WHERE id = 'quote of ' || :id"""),
            {"id": job_id},
        )


def _pause(deps, scope: tuple[PauseScope, str], reason: str | None = "why") -> bool:
    return pause_scope(deps, *scope, Acting(Actor("ada", "a test"), reason))


def _resume(deps, scope: tuple[PauseScope, str], by: Acting | None = None) -> bool:
    return resume_scope(deps, *scope, by)


def _waiting(deps) -> tuple[set[str], set[str]]:
    """The jobs of which the dispatcher, and the process for small jobs, find chunks."""
    with deps.database.reading() as connection:
        large = dispatch_queue.waiting(connection, window=8)
        small = dispatch_queue.waiting_small(connection, small_job_records=9, limit=9)
        rows = connection.execute(text("SELECT id, job_id FROM chunks")).all()
    job_of = {row.id: row.job_id for row in rows}
    return {one.job_id for one in large}, {job_of[each] for each in small}


def _take(deps, job_id: str) -> chunks.TakenChunk | None:
    with deps.database.transaction() as connection:
        chunk_id = connection.execute(
            text("""SELECT min(id) FROM chunks
                     WHERE job_id = :id AND state IN ('pending', 'dispatched')"""),
            {"id": job_id},
        ).scalar_one()
        return chunks.take(connection, chunk_id, owner="w", lease_s=60)


def test_the_same_again_changes_nothing_and_is_noted_once(deps):
    assert _pause(deps, _CRM)
    assert not _pause(deps, _CRM, "another")
    found = pause_of(deps, *_CRM)
    assert found is not None
    assert (found.reason, found.paused_by) == ("why", "ada")
    by = Acting(Actor("bob", "a test"))
    assert _resume(deps, _CRM, by)
    assert not _resume(deps, _CRM, by)
    assert pause_of(deps, *_CRM) is None
    with deps.database.reading() as connection:
        noted = action_log.actions(connection, WantedActions())
    assert [(one.verb, one.actor, one.reason) for one in noted] == [
        ("resume", "bob", None),
        ("pause", "ada", "why"),
    ]
    assert {(one.target_kind, one.target, one.license_id) for one in noted} == {
        ("connection", "con_acme", "acme")
    }


@pytest.mark.parametrize(
    "scope",
    [
        (PauseScope.LICENSE, "nobody"),
        (PauseScope.CONNECTION, "nothing"),
        (PauseScope.PROVIDER, "directory"),
        (PauseScope.EVERYTHING, "acme"),
    ],
)
def test_what_is_not_there_cannot_be_paused(deps, scope):
    with pytest.raises(Refused) as refused:
        _pause(deps, scope)
    assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(BadInput, match="reason"):
        _pause(deps, _ACME, " ")


@pytest.mark.parametrize("scope", _REASONS, ids=str)
def test_nothing_of_what_is_paused_is_handed_out_or_taken(deps, scope):
    _push(deps, "mine")
    _push(deps, "others", "other")
    assert _waiting(deps) == ({"mine", "others"}, {"mine", "others"})
    _pause(deps, scope)
    left = set() if scope == _EVERYTHING else {"others"}
    assert _waiting(deps) == (left, left)
    assert _take(deps, "mine") is None
    report = job_runs.report(deps, "mine")
    assert (report.state, report.waiting_until) == ("queued", None)
    assert report.waiting_reason == _REASONS[scope]
    others = job_runs.report(deps, "others").waiting_reason
    assert others == ("all_paused" if scope == _EVERYTHING else None)
    _resume(deps, scope)
    assert _waiting(deps) == ({"mine", "others"}, {"mine", "others"})
    assert job_runs.report(deps, "mine").waiting_reason is None
    assert _take(deps, "mine") is not None


def test_a_connection_that_is_paused_holds_no_export(deps):
    with deps.database.transaction() as connection:
        make_job(connection, "export", 0, kind="export", chunks=[1])
    _pause(deps, _CRM)
    assert _waiting(deps)[0] == {"export"}
    assert job_runs.report(deps, "export").waiting_reason is None


@pytest.mark.parametrize("scope", _REASONS, ids=str)
def test_a_worker_learns_of_it_with_its_checkpoint_and_its_beat(deps, scope):
    _push(deps, "mine")
    chunk = _take(deps, "mine")
    assert chunk is not None
    with deps.database.transaction() as connection:
        assert not chunks.renew(connection, chunk, lease_s=60).is_held
    _pause(deps, scope)
    with deps.database.transaction() as connection:
        assert chunks.renew(connection, chunk, lease_s=60).is_held
        batch = Batch.of(0, [_excluded(1)], [])
        settled = chunks.checkpoint(connection, chunk, batch, lease_s=60)
    assert (settled.state, settled.is_held) == ("running", True)


def _excluded(record: int):
    return RecordOutcome(
        record=record,
        company_id=f"c{record}",
        person_id=None,
        outcome=Outcome.EXCLUDED,
    )


def test_a_message_under_way_leaves_its_chunk_to_wait_in_the_database(deps):
    _push(deps, "mine")
    chunk_id = _scalar(deps, "SELECT id FROM chunks")
    with deps.database.transaction() as connection:
        dispatch_queue.mark_chunks(connection, [chunk_id], "chunks")
    _pause(deps, _ACME)
    assert isinstance(run_chunk(deps, chunk_id), Never)
    assert _scalar(deps, "SELECT state FROM chunks") == "pending"
    # It takes no place of others, and goes once it may.
    with deps.database.reading() as connection:
        assert dispatch_queue.in_flight(connection) == ({}, 0)
    _resume(deps, _ACME)
    assert _waiting(deps)[0] == {"mine"}


def test_who_hands_out_work_is_told_when_something_may_go_on(deps):
    _push(deps, "mine")
    _pause(deps, _ACME)
    with closing(deps.database.connect_apart()) as connection:
        connection.execute(f"LISTEN {WORK}".encode())
        _resume(deps, _ACME)
        assert len(list(connection.notifies(timeout=30, stop_after=1))) == 1


def test_quoting_submitting_cancelling_and_pausing_go_on_as_ever(deps):
    job_runs.know(deps, "p1")
    _pause(deps, _EVERYTHING)
    _pause(deps, _ACME)
    job_id, other = (
        submission.submit(deps, job_runs.quote(deps, [contact]).id)
        for contact in ("c1/p1", "c2/p2")
    )
    job_control.pause(deps, other)
    assert job_runs.report(deps, other).waiting_reason == "paused"
    job_control.resume(deps, other)
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)
    assert job_runs.report(deps, job_id).state == "cancelled"
    assert job_runs.report(deps, other).waiting_reason == "all_paused"
    _resume(deps, _EVERYTHING)
    assert job_runs.report(deps, other).waiting_reason == "license_paused"


# -- Deadlines ----------------------------------------------------------------


def _left_days(deps, job_id: str) -> float:
    """How many days a reservation has until its deadline."""
    left = _scalar(
        deps,
        """
        SELECT extract(epoch FROM deadline_at - holdfast_now()) FROM reservations
         WHERE job_id = :id""",
        id=job_id,
    )
    return float(left) / DAY_S


def _shift(deps, days: float) -> None:
    shift_to(deps.database, days * DAY_S)


def _overdue(deps) -> list[str]:
    with deps.database.reading() as connection:
        return lost_work.overdue_jobs(connection)


_LIFETIME_DAYS = LIFETIME_S / DAY_S
_CLOSE = 0.01


@pytest.mark.parametrize("scope", [*_REASONS, _HUNTER], ids=str)
def test_a_reservation_s_deadline_stands_still_and_then_holds_again(deps, scope):
    _push(deps, "mine")
    _push(deps, "paused")
    _run(deps, "UPDATE jobs SET state = 'paused' WHERE id = 'paused'")
    _shift(deps, 4)
    _pause(deps, scope)
    _shift(deps, 4 + 20)
    assert _overdue(deps) == []
    sweep(deps)
    _resume(deps, scope)
    assert _left_days(deps, "mine") == pytest.approx(_LIFETIME_DAYS - 4, abs=_CLOSE)
    assert _overdue(deps) == []
    _shift(deps, 20 + _LIFETIME_DAYS + 0.1)
    assert _overdue(deps) == ["mine", "paused"]


def test_what_is_not_over_a_job_moves_nothing_of_it(deps):
    _push(deps, "others", "other")
    with deps.database.transaction() as connection:
        make_job(connection, "export", 0, kind="export", chunks=[1])
    for scope in (_CRM, _HUNTER):
        _pause(deps, scope)
    _shift(deps, 10)
    _resume(deps, _CRM)
    assert _left_days(deps, "export") == pytest.approx(_LIFETIME_DAYS - 10, abs=_CLOSE)
    assert _left_days(deps, "others") == pytest.approx(_LIFETIME_DAYS - 10, abs=_CLOSE)
    _shift(deps, 11)
    # Of the two it retrieves e-mails, and may have needed the provider.
    _resume(deps, _HUNTER)
    assert _left_days(deps, "export") == pytest.approx(_LIFETIME_DAYS - 11, abs=_CLOSE)
    assert _left_days(deps, "others") == pytest.approx(_LIFETIME_DAYS, abs=_CLOSE)


def test_a_job_that_came_while_it_was_held_has_its_whole_time(deps):
    _pause(deps, _ACME)
    _shift(deps, 5)
    _push(deps, "late")
    _shift(deps, 8)
    _resume(deps, _ACME)
    assert _left_days(deps, "late") == pytest.approx(_LIFETIME_DAYS, abs=_CLOSE)


@pytest.mark.parametrize("seed", range(8))
def test_several_pauses_over_one_job_count_once(deps, seed):
    """Whatever begins and ends in whichever order: the time under any of them."""
    rng = random.Random(seed)
    scopes = (_EVERYTHING, _ACME, _CRM, _HUNTER)
    _push(deps, "mine")
    paused: set[tuple[PauseScope, str]] = set()
    at = held = 0.0
    for _ in range(14):
        days = rng.choice((0.3, 0.5, 0.8))
        at += days
        held += days if paused else 0
        _shift(deps, at)
        scope = rng.choice(scopes)
        if scope in paused:
            paused.remove(scope)
            _resume(deps, scope)
        else:
            paused.add(scope)
            _pause(deps, scope)
    for scope in sorted(paused):
        at, held = at + 1, held + 1
        _shift(deps, at)
        _resume(deps, scope)
    left = _LIFETIME_DAYS - (at - held)
    assert _left_days(deps, "mine") == pytest.approx(left, abs=_CLOSE)
    assert _scalar(deps, "SELECT held_since IS NULL FROM jobs")


def test_two_that_are_lifted_at_once_leave_nothing_held(deps):
    _push(deps, "mine")
    _pause(deps, _ACME)
    _pause(deps, _EVERYTHING)
    _shift(deps, 6)
    at_once = Barrier(2)

    def lift(scope) -> bool:
        at_once.wait()
        return _resume(deps, scope)

    with ThreadPoolExecutor() as threads:
        assert all(threads.map(lift, (_ACME, _EVERYTHING)))
    assert _left_days(deps, "mine") == pytest.approx(_LIFETIME_DAYS, abs=_CLOSE)
    assert _scalar(deps, "SELECT held_since IS NULL FROM jobs")


def test_a_deadline_moves_no_further_than_it_would_have_been_set_anew(deps):
    """What was running settled once more after the pause, and moved it then."""
    _push(deps, "mine")
    _pause(deps, _ACME)
    _shift(deps, 3)
    _run(
        deps,
        "UPDATE reservations SET deadline_at = holdfast_now() + interval '14 days'",
    )
    _shift(deps, 4)
    _resume(deps, _ACME)
    assert _left_days(deps, "mine") == pytest.approx(_LIFETIME_DAYS, abs=_CLOSE)


def test_what_became_of_a_batch_is_asked_on_as_long_as_before(deps):
    """A job in doubt that is cancelled and held asks nobody, and gives nothing up."""
    _push(deps, "mine")
    _run(
        deps,
        """
        UPDATE chunks SET doubted_at = clock_timestamp(), doubt_stop = 1,
               conclude_at = holdfast_clock() + interval '1 day'""",
    )
    _run(deps, "UPDATE jobs SET state = 'cancelling', ending = 'cancelled'")
    _pause(deps, _CRM)
    assert _take(deps, "mine") is None
    assert _waiting(deps) == (set(), set())
    _shift(deps, 3)
    _resume(deps, _CRM)
    left = _scalar(
        deps, "SELECT extract(epoch FROM conclude_at - holdfast_clock()) FROM chunks"
    )
    # By the clock, which stood still in this test, its day and those that it was held.
    assert float(left) == pytest.approx(4 * DAY_S, abs=60)
    assert _take(deps, "mine") is not None


def test_a_request_to_a_provider_does_not_expire_while_its_job_is_held(deps):
    _push(deps, "mine")
    _run(
        deps,
        """
        INSERT INTO lookups (id, provider, job_id, chunk_id, deferred, state, vendor_id,
                             created_at, asked_at, deadline)
        SELECT 'lkp', 'fullenrich', 'mine', id, true, 'sent', 'v',
               clock_timestamp() - interval '1 day', clock_timestamp(),
               clock_timestamp() - interval '1 second' FROM chunks""",
    )
    _pause(deps, _ACME)
    with deps.database.transaction() as connection:
        assert lookups.expire(connection, limit=9) == []
    _shift(deps, 0.5)
    _resume(deps, _ACME)
    with deps.database.transaction() as connection:
        assert lookups.expire(connection, limit=9) == []
    left = _scalar(
        deps, "SELECT extract(epoch FROM deadline - clock_timestamp()) FROM lookups"
    )
    assert float(left) == pytest.approx(DAY_S / 2, abs=60)


def test_what_is_paused_is_listed_and_of_a_license_what_it_has(deps):
    for scope in (_HUNTER, _ACME, _CRM, _EVERYTHING, (PauseScope.LICENSE, "other")):
        _pause(deps, scope)
    with deps.database.reading() as connection:
        found = kept_pauses.page(connection)
        pages = kept_pauses.page(connection, after=("everything", ""), limit=2)
        mine = kept_pauses.page(connection, license_id="acme")
    order = [_CRM, _EVERYTHING, _ACME, (PauseScope.LICENSE, "other"), _HUNTER]
    assert [(one.scope, one.subject) for one in found] == order
    assert [(one.scope, one.subject) for one in pages] == order[2:4]
    assert [(one.scope, one.subject) for one in mine] == [_CRM, _ACME]
