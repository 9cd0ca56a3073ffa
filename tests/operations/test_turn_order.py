"""Whose turn it is, as operators set it and see it."""

from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import given, strategies
from sqlalchemy import text

from storage.job_priority import Priority
from storage.jobs import dispatch_queue
from storage.jobs.dispatch_queue import Waiting
from storage.licenses import licenses
from storage.operations import action_log
from storage.operations.action_log import Acting, Actor, WantedActions
from storage.operations.turn_order import WaitingJob
from tests.support import job_runs
from tests.support.stored_jobs import make_job, make_license
from worker.infrastructure.errors import BadInput, Code, Refused
from worker.jobs.fair_scheduler import Room, Turns, choose
from worker.operations import turn_order

_SMALL = 2
_LARGE = (1000, 1000, 500)


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(
        database_url, tmp_path, small_job_records=_SMALL, chunk_records=1000
    )
    with closing(wired.database):
        yield wired


def _make(deps, license_id: str, *names: str, chunks=_LARGE) -> None:
    """Jobs of a license, the oldest first."""
    with deps.database.transaction() as connection:
        make_license(connection, license_id)
        for name in names:
            make_job(connection, name, 0, license_id=license_id, chunks=chunks)


def _run(deps, statement: str, **names: object) -> None:
    with deps.database.transaction() as connection:
        connection.execute(text(statement), names)


_BY = Acting(Actor("ada", "a test"), "they asked for it")


def _noted(deps) -> list[tuple[str, str, str | None]]:
    """What the action log says was done, to what and why."""
    with deps.database.reading() as connection:
        found = action_log.actions(connection, WantedActions())
    return [(one.verb, one.target, one.reason) for one in found]


def test_a_weight_is_set_and_noted_once(deps):
    _make(deps, "acme")
    assert turn_order.set_weight(deps, "acme", Decimal("0.250"), _BY)
    assert not turn_order.set_weight(deps, "acme", Decimal("0.25"), _BY)
    assert _noted(deps) == [("set_weight 0.25", "acme", "they asked for it")]
    with deps.database.reading() as connection:
        found = licenses.get(connection, "acme")
        assert found is not None
        assert found.weight == 0.25
        assert dispatch_queue.weights(connection, ["acme", "other"]) == {"acme": 0.25}
    assert turn_order.set_weight(deps, "acme", Decimal(1))
    with deps.database.reading() as connection:
        assert dispatch_queue.weights(connection, ["acme"]) == {}


@pytest.mark.parametrize("weight", ["0.24", "4.01", "0", "-1", "1.001"])
def test_a_weight_is_a_quarter_to_four_with_two_decimals(deps, weight):
    _make(deps, "acme")
    with pytest.raises(BadInput, match="weight"):
        turn_order.set_weight(deps, "acme", Decimal(weight))


def test_what_is_not_there_is_refused(deps):
    for call in (
        lambda: turn_order.set_weight(deps, "nobody", Decimal(2)),
        lambda: turn_order.set_priority(deps, "nothing", Priority.HIGH),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("state", ["queued", "running", "pausing", "paused"])
def test_a_priority_is_set_and_noted_once_while_chunks_may_begin(deps, state):
    _make(deps, "acme", "job")
    _run(deps, "UPDATE jobs SET state = :state", state=state)
    assert turn_order.set_priority(deps, "job", Priority.HIGH, _BY)
    assert not turn_order.set_priority(deps, "job", Priority.HIGH, _BY)
    assert _noted(deps) == [("set_priority high", "job", "they asked for it")]
    assert job_runs.report(deps, "job").priority is Priority.HIGH


@pytest.mark.parametrize("state", ["cancelling", "finishing"])
def test_the_priority_of_a_job_that_ends_stays(deps, state):
    _make(deps, "acme", "job")
    _run(deps, "UPDATE jobs SET state = :state", state=state)
    with pytest.raises(Refused, match=state) as refused:
        turn_order.set_priority(deps, "job", Priority.HIGH)
    assert refused.value.code is Code.WRONG_STATE
    assert job_runs.report(deps, "job").priority is Priority.NORMAL


def test_the_dispatcher_sees_the_oldest_and_the_most_urgent_of_many_jobs(deps):
    names = [f"job-{number:02}" for number in range(30)]
    _make(deps, "acme", *names, chunks=[1000])
    for name in names[20:]:
        turn_order.set_priority(deps, name, Priority.HIGH)
    turn_order.set_priority(deps, "job-00", Priority.LOW)
    with deps.database.reading() as connection:
        seen = dispatch_queue.waiting(connection, window=8, jobs_a_license=2)
    assert [(one.job_id, one.priority) for one in seen] == [
        ("job-00", Priority.LOW),
        ("job-01", Priority.NORMAL),
        ("job-02", Priority.NORMAL),
        ("job-20", Priority.HIGH),
        ("job-21", Priority.HIGH),
    ]


def _small_in_turn(deps, limit: int) -> list[str]:
    """The jobs whose chunks the process for small jobs would take."""
    with deps.database.reading() as connection:
        chosen = dispatch_queue.waiting_small(
            connection, small_job_records=_SMALL, limit=limit
        )
        rows = connection.execute(text("SELECT id, job_id FROM chunks")).all()
    job_of = {row.id: row.job_id for row in rows}
    return [job_of[each] for each in chosen]


def test_small_jobs_are_taken_by_the_weight_of_their_license(deps):
    _make(deps, "light", "l0", "l1", "l2", chunks=[1])
    _make(deps, "usual", "u0", "u1", "u2", chunks=[1])
    _make(deps, "heavy", "h0", "h1", "h2", chunks=[1])
    turn_order.set_weight(deps, "light", Decimal("0.25"))
    turn_order.set_weight(deps, "heavy", Decimal(4))
    assert _small_in_turn(deps, 8) == ["l0", "u0", "h0", "h1", "h2", "u1", "u2", "l1"]


def test_small_jobs_are_taken_by_priority_and_the_oldest_is_the_fourth_at_least(deps):
    _make(deps, "acme", *(f"j{number}" for number in range(7)), chunks=[1])
    turn_order.set_priority(deps, "j0", Priority.LOW)
    for name in ("j3", "j4", "j5", "j6"):
        turn_order.set_priority(deps, name, Priority.HIGH)
    assert _small_in_turn(deps, 6) == ["j3", "j4", "j5", "j0", "j6", "j1"]


def test_who_waits_is_told_with_share_and_rounds(deps):
    _make(deps, "a", "a1", "a2")
    _make(deps, "b", "b1")
    _make(deps, "b", "small", chunks=[1])
    turn_order.set_weight(deps, "a", Decimal("0.25"))
    _run(
        deps,
        """
        UPDATE chunks SET state = 'running', owner = 'w', attempt = 1,
               lease_until = clock_timestamp() + interval '1 hour'
         WHERE job_id = 'a1' AND first = 0""",
    )
    _run(deps, "UPDATE jobs SET state = 'paused' WHERE id = 'a2'")
    found = turn_order.license_turns(deps)
    assert [(*one.waiting, one.share, one.rounds) for one in found] == [
        ("b", True, 1.0, 1, 1, 1, 0, 1.0, 1),
        ("a", False, 0.25, 2, 1500, 1000, 1, 0.2, 4),
        ("b", False, 1.0, 3, 2500, 1000, 0, 0.8, 1),
    ]


def test_a_job_s_turn_is_told_with_those_before_it(deps):
    _make(deps, "a", "first", "second", "urgent")
    _make(deps, "b", "other")
    turn_order.set_priority(deps, "urgent", Priority.HIGH)
    turn_order.set_weight(deps, "a", Decimal(2))
    turn = turn_order.job_turn(deps, "second")
    # Six chunks of 833 records, then its own of 1000; two thousand a round.
    assert turn == turn_order.JobTurn(6, 3, {"b": 3})
    assert turn_order.job_turn(deps, "urgent") == turn_order.JobTurn(0, 1, {"b": 1})
    _run(deps, "UPDATE jobs SET state = 'paused' WHERE id = 'second'")
    assert turn_order.job_turn(deps, "second") is None
    assert turn_order.job_turn(deps, "nothing") is None


@given(
    sizes=strategies.lists(
        strategies.tuples(strategies.sampled_from(Priority), strategies.integers(1, 9)),
        min_size=1,
        max_size=8,
    )
)
def test_no_more_chunks_go_before_a_job_than_is_told(sizes):
    """Held against the scheduler itself, for each job of a license."""
    jobs = [
        WaitingJob(f"job-{place}", is_small=False, priority=priority, chunks=chunks)
        for place, (priority, chunks) in enumerate(sizes)
    ]
    waiting = [
        Waiting("a", job.job_id, 9000, 10 * place + number, 1000, job.priority)
        for place, job in enumerate(jobs)
        for number in range(job.chunks)
    ]
    gone = choose(
        waiting,
        Turns(),
        room=Room(0, len(waiting)),
        quantum_records=1000,
        small_job_records=50,
    ).other.chunk_ids
    for place, job in enumerate(jobs):
        assert gone.index(10 * place) <= turn_order.chunks_before(job, jobs)
