"""What operators do on the command line: who acted, from where, and why."""

import getpass
import json
import socket

import pytest

from storage.jobs import heartbeats
from tests.support import job_runs
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home
from worker.jobs import submission

_WHY = "the CRM is down"


@pytest.fixture
def terminal(database_url, tmp_path):
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


@pytest.fixture
def deps(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path / "home")
    job_runs.create_license(deps)
    yield deps
    deps.database.close()


def _submitted(deps) -> str:
    return submission.submit(deps, job_runs.quote(deps, ["c1", "c2"]).id)


def test_each_verb_says_what_it_did_and_is_noted_with_the_machines_user(terminal, deps):
    job_id = _submitted(deps)
    for verb, state in (("pause", "paused"), ("resume", "queued")):
        assert terminal.answer(verb, job_id, "--reason", _WHY)["state"] == state
    assert terminal.answer("cancel", job_id)["id"] == job_id
    job_runs.complete(deps)
    retried = terminal.answer("retry", job_id, "--reason", _WHY)
    assert retried["retry_of"] == job_id
    job_runs.run_chunks(deps, retried["id"])
    given_up = terminal.answer("give-up", retried["id"], "--reason", _WHY)
    assert given_up["error"]["code"] == "given_up"
    noted = terminal.answer("actions", "--license", "acme")["items"]
    assert [(one["verb"], one["reason"]) for one in noted] == [
        ("give_up", _WHY),
        ("retry", _WHY),
        ("cancel", None),
        ("resume", _WHY),
        ("pause", _WHY),
    ]
    host = socket.gethostname()
    assert {(one["by"], one["origin"]) for one in noted} == {
        (getpass.getuser(), f"command line on {host}")
    }
    told = [entry["what"] for entry in terminal.answer("timeline", job_id)["items"]]
    assert told == [
        *("created", "changed", "changed", "changed", "changed"),
        *("finished", "retried"),
    ]
    human = terminal.run("timeline", job_id).stdout
    assert f"changed paused  (paused)  by {getpass.getuser()}  : {_WHY}" in human
    assert f"job {job_id}: {_WHY}" in terminal.run("actions").stdout


def test_many_jobs_are_counted_and_then_steered(terminal, deps):
    jobs = [_submitted(deps) for _ in range(3)]
    words = ("jobs-bulk", "pause", "--license", "acme", "--reason", _WHY)
    assert terminal.answer(*words, "--dry-run")["matched"] == 3
    refused = terminal.run(*words, "--expected", "2", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["code"] == "wrong_state"
    assert terminal.run(*words).stdout == "3 jobs match: 3 done, 0 skipped\n"
    assert {job_runs.report(deps, job_id).state for job_id in jobs} == {"paused"}
    nothing = terminal.run("jobs-bulk", "pause")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert terminal.answer(*words)["matched"] == 0
    later = ("jobs-bulk", "resume", "--from", "2100-01-01", "--dry-run")
    assert terminal.answer(*later)["matched"] == 0


def test_a_worker_is_drained_and_goes_on(terminal, deps):
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "w1", "worker")
    assert terminal.answer("drain", "w1", "--reason", _WHY)["state"] == "draining"
    assert "w1  worker      draining" in terminal.run("processes").stdout
    assert terminal.answer("undrain", "w1")["state"] == "alive"
    (process,) = terminal.answer("processes")["items"]
    assert (process["id"], process["chunks"]) == ("w1", [])


def _report(connection, process_id: str, host: str) -> None:
    about = heartbeats.About(host=host)
    heartbeats.report(connection, process_id, "worker", about=about)


def test_a_health_check_asks_for_a_process_of_its_own_machine(terminal, deps):
    with deps.database.transaction() as connection:
        _report(connection, "w1", "elsewhere")
    assert terminal.run("alive", "worker").returncode == 1
    with deps.database.transaction() as connection:
        _report(connection, "w2", socket.gethostname())
    assert [one["id"] for one in terminal.answer("alive", "worker")["items"]] == ["w2"]
    assert terminal.run("alive", "dispatcher").returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "job_x"),
        ("retry", "job_x"),
        ("timeline", "job_x"),
        ("give-back", "1"),
        ("send-again", "1"),
        ("drain", "nobody"),
    ],
)
def test_what_is_not_there_is_refused_and_noted_nowhere(terminal, deps, words):
    done = terminal.run(*words, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["code"] == "not_found"
    assert terminal.answer("actions")["items"] == []


def test_a_reason_that_is_none_is_bad_input(terminal, deps):
    job_id = _submitted(deps)
    for reason in (" ", "x" * 501, "a\nb"):
        done = terminal.run("cancel", job_id, "--reason", reason)
        assert done.returncode == 2
        assert "reason: must be 1 to 500 printable characters" in done.stderr
    assert job_runs.report(deps, job_id).state == "queued"
    assert terminal.run("requeue").stdout == "0 entries are due now\n"


def test_what_waits_is_told_with_whose_turn_it_is(terminal, deps):
    _submitted(deps)
    told = terminal.answer("queues")
    small = next(one for one in told["items"] if one["name"] == "small")
    assert (small["jobs"], small["waiting"], small["records"]) == (1, 1, 2)
    assert [(one["license"], one["rounds"]) for one in told["licenses"]] == [
        ("acme", 1)
    ]


def test_top_shows_open_jobs_queues_and_processes(terminal, deps):
    job_id = _submitted(deps)
    with deps.database.transaction() as connection:
        heartbeats.report(connection, "here:7:ab", "worker")
    shown = terminal.run("top", "--once").stdout
    for text in (job_id, "1 queued", "small", "here:7:ab", "alive"):
        assert text in shown
