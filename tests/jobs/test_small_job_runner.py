"""Small jobs' chunks are taken from the database, and handed on where nobody does."""

import threading
from contextlib import closing

import pytest
from sqlalchemy import text

from storage.jobs import dispatch_queue, heartbeats
from tests.support import job_runs
from tests.support.stored_jobs import make_job, make_license
from worker.jobs import submission
from worker.jobs.message_queues import TAKEN
from worker.jobs.messages import lost_messages
from worker.jobs.small_job_runner import SmallJobRunner

_SMALL = 2
_SOON_S = 30.0


@pytest.fixture
def deps(database_url, tmp_path):
    wired = job_runs.wire_to(
        database_url,
        tmp_path,
        small_job_records=_SMALL,
        complete_at_once_records=_SMALL,
        lease_s=60,
    )
    with closing(wired.database):
        job_runs.create_license(wired)
        job_runs.know(wired, "p1", "p2", "p3")
        yield wired


@pytest.fixture
def alarms():
    return []


@pytest.fixture
def runner(deps, alarms):
    return SmallJobRunner(deps, alarms.append, chunks_max=2)


def _submit(deps, *contacts: str) -> str:
    return submission.submit(deps, job_runs.quote(deps, contacts).id)


def test_a_small_job_is_run_to_its_end_and_a_larger_one_is_left(deps, runner):
    small = _submit(deps, "c1/p1", "c1/p2")
    larger = _submit(deps, "c1/p1", "c1/p2", "c2/p3")
    assert runner.turn()
    runner.finish()
    assert job_runs.report(deps, small).state == "succeeded"
    assert job_runs.report(deps, larger).state == "queued"


def test_each_chunk_has_its_alarm_and_no_longer(deps, runner, alarms):
    _submit(deps, "c1/p1")
    runner.turn()
    runner.finish()
    assert alarms == [pytest.approx(deps.settings.task_time_limit_s, rel=0.1), 0]


def test_one_that_waits_holds_up_no_other_and_keeps_its_alarm(deps):
    """Which of several hangs the process cannot know: its alarm is the oldest one's."""
    rang = threading.Condition()
    alarms: list[float] = []

    def alarm(after_s: float) -> None:
        with rang:
            alarms.append(after_s)
            rang.notify_all()

    def has_rung(times: int) -> bool:
        with rang:
            return rang.wait_for(lambda: len(alarms) == times, _SOON_S)

    runner = SmallJobRunner(deps, alarm)
    waits = _submit(deps, "c1/p1")
    with deps.database.transaction() as connection:
        connection.execute(
            text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": waits}
        )
        in_turn = threading.Thread(target=runner.turn)
        in_turn.start()
        assert has_rung(1)
        in_turn.join()
        other = _submit_beside(deps, "c1/p2")
        in_turn = threading.Thread(target=runner.turn)
        in_turn.start()
        assert has_rung(3)
        in_turn.join()
    runner.finish()
    assert job_runs.report(deps, other).state == "succeeded"
    assert job_runs.report(deps, waits).state == "succeeded"
    limit_s = deps.settings.task_time_limit_s
    assert alarms == [pytest.approx(limit_s, rel=0.1)] * 3 + [0]


def _submit_beside(deps, contact: str) -> str:
    """Submit a job in a thread of its own: in this one a transaction is open."""
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(_submit(deps, contact)))
    thread.start()
    thread.join()
    return made[0]


def test_what_is_begun_is_not_begun_again(deps, runner, alarms):
    _submit(deps, "c1/p1")
    _submit(deps, "c1/p2")
    for _ in range(3):
        runner.turn()
    runner.finish()
    # Each sets the alarm as it begins, and as it ends.
    assert len(alarms) == 4


def test_it_ends_once_it_has_run_its_share(deps, runner):
    made = [_submit(deps, "c1/p1"), _submit(deps, "c1/p2")]
    runner.run(threading.Event())
    assert [job_runs.report(deps, one).state for one in made] == ["succeeded"] * 2


def test_the_first_of_each_license_goes_before_the_second_of_any(database):
    with database.transaction() as connection:
        for license_id, jobs in (("a", 3), ("b", 1), ("c", 2)):
            make_license(connection, license_id)
            for number in range(jobs):
                name = f"{license_id}-{number}"
                make_job(connection, name, 0, license_id=license_id, chunks=[1])
    with database.reading() as connection:
        chosen = dispatch_queue.waiting_small(connection, small_job_records=1, limit=5)
        rows = connection.execute(text("SELECT id, job_id FROM chunks")).all()
    job_of = {row.id: row.job_id for row in rows}
    assert [job_of[each] for each in chosen] == ["a-0", "b-0", "c-0", "a-1", "c-1"]


def test_what_is_paused_or_waits_for_later_is_not_chosen(database):
    with database.transaction() as connection:
        make_license(connection)
        for name in ("paused", "later", "now"):
            make_job(connection, name, 0, chunks=[1])
        connection.execute(text("UPDATE jobs SET state = 'paused' WHERE id = 'paused'"))
        connection.execute(
            text("""
                UPDATE chunks SET run_at = clock_timestamp() + interval '1 hour'
                 WHERE job_id = 'later'""")
        )
        (chosen,) = dispatch_queue.waiting_small(
            connection, small_job_records=1, limit=5
        )
        found = connection.execute(text(f"SELECT job_id FROM chunks WHERE id={chosen}"))
        assert found.scalar_one() == "now"


def test_the_dispatcher_leaves_small_jobs_a_head_start_and_no_others(database):
    with database.transaction() as connection:
        make_license(connection)
        make_job(connection, "small", 0, chunks=[1])
        make_job(connection, "large", 0, chunks=[2])

    def goes(head_start_s: float) -> list[str]:
        with database.reading() as connection:
            found = dispatch_queue.waiting(
                connection, window=8, small_job_records=1, head_start_s=head_start_s
            )
        return [one.job_id for one in found]

    assert goes(3600) == ["large"]
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE chunks SET run_at = run_at - interval '2 hours'")
        )
    assert goes(3600) == ["small", "large"]


def test_a_head_start_is_given_while_a_worker_reports_that_it_takes_them(deps):
    assert not lost_messages.takes_small(deps)
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "older", "worker", ["chunks"])
    assert not lost_messages.takes_small(deps)
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "newer", "worker", ["chunks", TAKEN])
    assert lost_messages.takes_small(deps)
