"""Refunds on the command line: who has asked is the machine's user."""

import getpass

import pytest

from tests.support import job_runs
from tests.support.terminals import WarmTerminal
from worker.embedded.home import remove_home
from worker.jobs import submission


@pytest.fixture
def terminal(database_url, tmp_path):
    terminal = WarmTerminal(tmp_path / "home", database_url)
    yield terminal
    remove_home(terminal.home)


@pytest.fixture
def job(database_url, tmp_path):
    deps = job_runs.wire_to(database_url, tmp_path / "home")
    job_runs.create_license(deps)
    job_id = submission.submit(deps, job_runs.quote(deps, ["c1", "c2", "c3"]).id)
    job_runs.run(deps, job_id)
    deps.database.close()
    return job_id


def test_a_job_is_previewed_refunded_and_shown(terminal, job):
    preview = terminal.answer("refunds", "preview", "--job", job)
    assert (preview["credits"], preview["needs_approval"]) == (3, False)
    note = terminal.answer("refunds", "make", "--job", job, "--reason", "twice")
    assert (note["number"], note["state"]) == (1, "booked")
    assert note["author"] == getpass.getuser()
    assert terminal.answer("refunds", "show", str(note["id"])) == note
    (listed,) = terminal.answer("refunds", "list", "--license", "acme")["items"]
    assert listed["id"] == note["id"]
    assert terminal.answer("refunds", "list", "--state", "rejected")["items"] == []


def test_the_machines_user_rejects_and_never_approves_what_they_asked_for(
    database_url, tmp_path, job
):
    asks = {"REFUND_APPROVAL_CREDITS": "0"}
    terminal = WarmTerminal(tmp_path / "home", database_url, **asks)
    note = terminal.answer("refunds", "make", "--job", job, "--reason", "twice")
    assert note["state"] == "awaiting_approval"
    refused = terminal.run("refunds", "approve", str(note["id"]))
    assert refused.returncode == 1
    rejected = terminal.answer(
        "refunds", "reject", str(note["id"]), "--reason", "a mistake"
    )
    assert rejected["rejection"] == "a mistake"


def test_a_key_says_once_who_holds_it(terminal, job):
    named = ("keys", "create", "--name", "n", "--scope", "finance")
    terminal.answer(*named, "--person", " Ada ")
    plain = terminal.answer(*named)["id"]
    terminal.answer("keys", "person", plain, "Bob")
    terminal.answer("keys", "person", plain, "Bob")
    assert terminal.run("keys", "person", plain, "Eve").returncode == 1
    assert terminal.run("keys", "person", "key_none", "Eve").returncode == 1
    persons = [key["person"] for key in terminal.answer("keys", "list")["items"]]
    assert sorted(persons) == ["Ada", "Bob"]
