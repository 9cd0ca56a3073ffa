"""What a shell is told: each exit status of docs/command-line.md, by real processes."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis
from sqlalchemy import text

from storage.jobs import heartbeats
from tests.finance.conftest import seal
from tests.support import job_runs
from tests.support.databases import new_database
from tests.support.fleet import Fleet, fleet_of, until
from tests.support.servers import OwnBroker, own_broker
from tests.support.terminals import Terminal, WarmTerminal
from worker.embedded.home import remove_home
from worker.jobs import job_control, submission
from worker.wiring import Wired

_DONE, _FAILED, _BAD, _STOPPED = 0, 1, 2, 130

_CONTACTS = ["c1", "c2", "c3"]


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    """The use cases, and what says that a worker and a dispatcher are alive."""
    deps = job_runs.wire_to(database_url, tmp_path)
    job_runs.create_license(deps)
    with deps.database.transaction() as connection:
        for role in ("worker", "dispatcher"):
            heartbeats.report(connection, f"the test as {role}", role)
    with closing(deps.database):
        yield deps


@pytest.fixture
def terminal(deps, database_url) -> Iterator[Terminal]:
    """Commands beside workers that this test stands in for."""
    terminal = Terminal(
        deps.settings.home,
        database_url,
        BROKER_URL="redis://127.0.0.1:1",
        REPORT_INTERVAL_S="600",
    )
    yield terminal
    remove_home(terminal.home)


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    path = tmp_path / "contacts.csv"
    path.write_text("\n".join(["company_id", *_CONTACTS]))
    return path


def _submitted(deps: Wired) -> str:
    """The job that a command has submitted, once it has."""

    def look() -> str | None:
        with deps.database.transaction() as connection:
            job_id: str | None = connection.execute(
                text("SELECT id FROM jobs")
            ).scalar_one_or_none()
            return job_id

    job_id = until(look)
    assert job_id is not None
    return job_id


def _succeed(deps: Wired, job_id: str) -> None:
    job_runs.run(deps, job_id)


def _cancel(deps: Wired, job_id: str) -> None:
    job_control.cancel(deps, job_id)
    job_runs.complete(deps)


def _give_up(deps: Wired, job_id: str) -> None:
    job_runs.run_chunks(deps, job_id)
    job_control.give_up(deps, job_id)


SUCCEEDED = (_succeed, "succeeded", _DONE)
CANCELLED = (_cancel, "cancelled", _FAILED)
GIVEN_UP = (_give_up, "failed", _FAILED)


@pytest.mark.parametrize(("end", "state", "status"), [SUCCEEDED, CANCELLED, GIVEN_UP])
def test_an_export_ends_as_its_job_does(deps, terminal, contacts, end, state, status):
    words = ("export", str(contacts), "--license", "acme", "--user", "u", "--json")
    with terminal.begin(*words) as export:
        end(deps, _submitted(deps))
        output, problems = export.communicate(timeout=60)
    assert (json.loads(output)["state"], export.returncode) == (state, status), problems


@pytest.mark.parametrize(("end", "state", "status"), [CANCELLED, GIVEN_UP])
def test_a_watched_job_ends_the_command_as_it_ends(deps, terminal, end, state, status):
    job_id = submission.submit(deps, job_runs.quote(deps, _CONTACTS).id)
    with terminal.begin("job", job_id, "--watch", "--json") as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["state"] == "queued"
        end(deps, job_id)
        output, problems = watch.communicate(timeout=60)
    last = json.loads(output.splitlines()[-1])["state"]
    assert (last, watch.returncode) == (state, status), problems


def test_a_command_that_is_interrupted_says_so(deps, terminal, contacts):
    words = ("export", str(contacts), "--license", "acme", "--user", "u")
    with terminal.begin(*words) as export:
        job_id = _submitted(deps)
        export.send_signal(signal.SIGINT)
        output, problems = export.communicate(timeout=60)
    assert (output, problems.split()) == ("", ["stopped"])
    assert export.returncode == _STOPPED
    _cancel(deps, job_id)


@pytest.mark.slow
def test_asking_without_changing_anything_is_done_refused_or_bad(terminal):
    words = {
        ("--help",): _DONE,
        ("audit", "--help"): _DONE,
        ("balance", "acme"): _DONE,
        ("audit",): _DONE,
        ("balance", "nobody"): _FAILED,
        ("job", "job_x", "--watch"): _FAILED,
        ("nonsense",): _BAD,
        ("license",): _BAD,
        ("balance",): _BAD,
        ("jobs", "--state", "nonsense"): _BAD,
    }
    with ThreadPoolExecutor(2) as threads:
        done = threads.map(lambda asked: terminal.run(*asked).returncode, words)
        assert dict(zip(words, done, strict=True)) == words


def test_a_broken_promise_is_violated(broken_database, tmp_path):
    url = broken_database.url.render_as_string(hide_password=False)
    deps = job_runs.wire_to(url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
    with broken_database.transaction() as connection:
        connection.execute(text("UPDATE periods SET granted = granted + 1"))
    terminal = WarmTerminal(tmp_path / "home", url)
    done = terminal.run("audit", "--json")
    assert done.returncode == _FAILED
    (violation,) = json.loads(done.stdout)["violations"]
    assert violation["check"] == "period_counters_are_account_balances"
    assert violation["check"] in done.stderr, "said loudly too"
    words = ("audit", "acknowledge", str(violation["id"]))
    assert terminal.run(*words, "--reason", " ").returncode == _BAD
    said = terminal.answer(*words, "--reason", "granted by hand", "--by", "ada")
    assert said["acknowledged"]["by"] == "ada"
    assert terminal.run(*words, "--reason", "again").returncode == _FAILED
    heard = terminal.run("audit")
    assert heard.returncode == _DONE, "what is acknowledged sounds no more"
    assert "acknowledged by ada: granted by hand" in heard.stdout


def test_a_broken_chain_is_violated_and_a_restored_house_refuses(
    broken_database, tmp_path
):
    url = broken_database.url.render_as_string(hide_password=False)
    terminal = WarmTerminal(tmp_path / "home", url)
    deps = job_runs.wire_to(url, tmp_path / "home")
    with closing(deps.database):
        job_runs.create_license(deps)
        seal(deps)
    assert terminal.answer("audit", "--chain")["breaks"] == []
    with broken_database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE transfers SET credits = credits + 1"))
    broken = terminal.run("audit", "--chain")
    assert broken.returncode == _FAILED
    first = broken.stdout.splitlines()[0]
    assert first.startswith("license acme, run 1, table transfers, row 1: is not what")
    assert terminal.run("audit", "--new-era").returncode == _FAILED
    with broken_database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE chain_runs SET system_identifier = 1"))
    top_up = ("top-up", "acme", "5", "--reference", "r")
    assert "the database was restored" in terminal.run(*top_up).stderr
    assert terminal.answer("audit", "--new-era", "--reason", "a test")["era"] == 1
    assert terminal.run(*top_up).returncode == _DONE


@pytest.mark.slow
def test_a_wrong_number_of_the_demo_is_failed(server, tmp_path):
    """Somebody of the sample was erased: one phone of it is not found any more."""
    with new_database(server) as url:
        terminal = Terminal(tmp_path / "home", url)
        assert terminal.run("migrate").returncode == _DONE
        assert terminal.run("erase-person", "C000127").returncode == _DONE
        done = terminal.run("demo", "--json")
    remove_home(terminal.home)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["right"]) == (_FAILED, False)
    assert answer["exports"][0] == {"quoted": 1717, "settled": 1176, "released": 541}


@pytest.fixture
def broker(tmp_path) -> Iterator[OwnBroker]:
    with own_broker(tmp_path / "broker") as broker, broker.running():
        yield broker


@pytest.fixture
def fleet(database_url, tmp_path, broker) -> Iterator[Fleet]:
    with fleet_of(tmp_path / "fleet", database_url, broker.url) as fleet:
        yield fleet


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dispatcher", "worker"])
def test_a_process_that_is_told_to_stop_is_done(fleet, name):
    (process,) = fleet.start(name)
    until(lambda: fleet.scalar("SELECT count(*) FROM processes") > 0)
    process.terminate()
    assert process.wait(timeout=60) == _DONE


@pytest.mark.slow
def test_a_worker_whose_broker_cannot_be_used_has_failed(fleet, broker):
    address = broker.url.replace("redis+socket://", "unix://")
    with closing(redis.Redis.from_url(address)) as client:
        client.set("holdfast:control", "no list, as a queue is")
    (worker,) = fleet.start("worker")
    assert worker.wait(timeout=60) == _FAILED
