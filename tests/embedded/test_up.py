"""`up`: everything in one place, restarted when it dies, gone when it is stopped."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.fleet import QUICK, until
from tests.support.homes import living
from tests.support.sandboxes import Sandbox
from worker.embedded import postgres
from worker.embedded.errors import StartFailed
from worker.embedded.home import open_home, remove_home

_CONTACTS = "company_id,person_id\n" + "".join(
    f"c{number // 5},p{number}\n" for number in range(2_000)
)


def _env(**settings: str) -> dict[str, str]:
    quick = {**QUICK, "CHUNK_RECORDS": "200", "BATCH_RECORDS": "20", **settings}
    return dict(os.environ) | {
        f"HOLDFAST_{name}": value for name, value in quick.items()
    }


def _argv(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "worker.cli", *words, "--home", str(home)]


def _holdfast(
    home: Path, *words: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _argv(home, *words),
        env=_env(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _begin(home: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # The widest umask: nobody else may read what lies at home all the same.
        _argv(home, *words),
        env=_env(**settings),
        stdout=subprocess.PIPE,
        text=True,
        umask=0,
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    for process in living(home):
        process.kill()
    remove_home(home)


def _ready(up: subprocess.Popen[str]) -> str:
    """Where the API is, once `up` says that it is ready."""
    assert up.stdout is not None
    line = up.stdout.readline()
    assert line.startswith("ready http://127.0.0.1:"), line
    return line.split()[1].removeprefix("http://")


@contextmanager
def _up(home: Path, **settings: str) -> Iterator[str]:
    """`up` until the block ends; then it has been stopped by Ctrl-C, cleanly."""
    with _begin(home, "up", "--port", "0", **settings) as up:
        try:
            yield _ready(up)
            up.send_signal(signal.SIGINT)
            assert up.wait(timeout=60) == 0
            until(lambda: not living(home), within_s=10)
        finally:
            up.kill()


@contextmanager
def _killed_up(home: Path) -> Iterator[None]:
    """`up` that is killed at the block's end, with no chance to clean up."""
    with _begin(home, "up", "--port", "0") as up:
        _ready(up)
        yield
        up.kill()


def _get(address: str, path: str) -> tuple[int, dict[str, str]]:
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError:
        return 0, {}
    finally:
        connection.close()


def _create_license(home: Path, **settings: str) -> None:
    created = _holdfast(
        home,
        *("license", "create", "acme", "--name", "Acme", "--plan", "V2"),
        *("--payment-term", "monthly", "--credits", "5000"),
        **settings,
    )
    assert created.returncode == 0, created.stderr


def _child(home: Path, word: str) -> psutil.Process:
    """The newest process of this name: a server, or one of our own commands."""

    def matches(process: psutil.Process) -> bool:
        try:
            words = process.cmdline() or [""]
            leads = os.getpgid(process.pid) == process.pid and process.ppid() != 1
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False
        return leads and (word in words or Path(words[0]).name.startswith(word))

    return until(lambda: [p for p in living(home) if matches(p)])[0]


def test_up_is_ready_once_everything_answers(home):
    with _up(home) as address:
        assert _get(address, "/healthz") == (200, {"status": "ok"})
        status, parts = _get(address, "/readyz")
        assert status == 200
        names = (
            *("database", "migrations", "clock", "broker"),
            *("dispatcher", "worker", "audit"),
        )
        assert parts == dict.fromkeys(names, "ok")


@pytest.mark.slow
def test_up_sets_business_time_for_all_that_run_there_and_who_looks_does_not(home):
    def told(command: str, *words: str, **settings: str) -> dict[str, Any]:
        done = _holdfast(home, command, *words, "--json", **settings)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    forty_days = str(40 * 24 * 3600)
    with _up(home, CLOCK_OFFSET_S="0"):
        _create_license(home)
        first = told("balance", "acme")["period"]
    told("balance", "acme", CLOCK_OFFSET_S=forty_days)
    clock = told("clock")
    assert (clock["offset_s"], clock["state"]) == (0, "ok")
    assert told("balance", "acme")["period"] == first
    with _up(home, CLOCK_OFFSET_S=forty_days) as address:
        assert _get(address, "/readyz")[1]["clock"] == "ok"
        assert told("balance", "acme")["period"]["starts_at"] == first["ends_at"]
    # It stands in the database, until somebody says otherwise.
    assert told("clock", "set-offset", "0")["ended_ahead"][0]["license"] == "acme"
    again = told("periods", "reopen", "acme", first["starts_at"])
    assert (again["available"], again["ended_at"]) == (5000, None)


@pytest.mark.slow
def test_a_second_up_on_the_same_home_is_refused(home):
    with _up(home) as address:
        second = _holdfast(home, "up", "--port", "0")
        assert second.returncode == 1
        assert f"is up already, at http://{address}" in second.stderr


@pytest.mark.slow
def test_commands_use_what_is_up_and_leave_it_running(home, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text(_CONTACTS)
    with _up(home) as address:
        _create_license(home)
        words = ("export", str(contacts), "--license", "acme", "--user", "u", "--json")
        export = _holdfast(home, *words)
        assert export.returncode == 0, export.stderr
        assert json.loads(export.stdout)["credits"]["settled"] == 400
        assert _get(address, "/readyz")[0] == 200
        balance = _holdfast(home, "balance", "acme", "--json")
        assert json.loads(balance.stdout)["available"] == 4600


@pytest.mark.slow
def test_whatever_dies_under_up_is_started_again_and_the_job_ends(home, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text(_CONTACTS)
    with _up(home) as address:
        _create_license(home)
        words = ("export", str(contacts), "--license", "acme", "--user", "u", "--json")
        with _begin(home, *words) as export:
            for word in ("valkey", "worker", "dispatcher", "api"):
                _child(home, word).kill()
            output, _ = export.communicate(timeout=120)
        assert export.returncode == 0
        assert json.loads(output)["credits"]["settled"] == 400
        until(lambda: _get(address, "/healthz")[0] == 200)
        until(lambda: "degraded" not in _get(address, "/readyz")[1].values())


@pytest.mark.slow
def test_the_database_may_die_under_up(home):
    with _up(home) as address:
        _create_license(home)
        killed = _child(home, "postgres")
        killed.kill()
        # What the former one still serves is ended before the next one is started.
        until(lambda: _child(home, "postgres") != killed)
        until(lambda: _get(address, "/readyz")[0] == 200)
        balance = _holdfast(home, "balance", "acme", "--json")
        assert json.loads(balance.stdout)["available"] == 5000


@pytest.mark.slow
def test_nothing_is_left_when_up_is_killed_and_the_next_one_starts(home):
    with _killed_up(home):
        _create_license(home)
    # The next one waits for the guardian, which holds the home until all are gone.
    with _up(home) as address:
        assert _get(address, "/readyz")[0] == 200
        balance = _holdfast(home, "balance", "acme", "--json")
        assert json.loads(balance.stdout)["available"] == 5000


def test_a_killed_up_leaves_no_process(home):
    with _killed_up(home):
        assert len(living(home)) > len(("postgres", "valkey", "api", "worker"))
    until(lambda: not living(home), within_s=25)


def _guardians(home: Path) -> list[psutil.Process]:
    return [p for p in living(home) if any("guardian" in word for word in p.cmdline())]


@pytest.mark.slow
def test_a_killed_guardian_is_replaced_before_the_next_blow(home):
    with _killed_up(home):
        (first,) = _guardians(home)
        first.kill()
        until(lambda: [p for p in _guardians(home) if p != first])
    until(lambda: not living(home), within_s=25)


@pytest.mark.slow
def test_what_nobody_was_left_to_end_is_ended_by_the_next_one(home):
    with _begin(home, "up", "--port", "0") as up:
        address = _ready(up)
        (guardian,) = _guardians(home)
        # Frozen, so that neither sees the other die.
        up.send_signal(signal.SIGSTOP)
        guardian.kill()
        up.kill()
        up.wait(timeout=10)
    left = living(home)
    assert len(left) > len(("postgres", "valkey", "api", "worker"))
    with _begin(home, "up", "--port", address.rpartition(":")[2]) as up:
        assert _ready(up) == address
        assert not {process.pid for process in left} & {p.pid for p in living(home)}
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=60) == 0


def test_a_bad_line_in_the_directory_stops_the_start(home, tmp_path):
    bad = tmp_path / "directory.jsonl"
    bad.write_text(
        '{"person_id": "p1"}\n{"person_id": "p2", "email_status": "so-so"}\n'
    )
    up = _holdfast(home, "up", "--port", "0", DIRECTORY=str(bad))
    assert up.returncode == 2
    assert "line 2: email_status: is none of" in up.stderr
    assert not living(home)


def test_the_data_of_a_home_that_was_removed_is_named_and_left_as_it_is(home):
    elsewhere = home.parent / "elsewhere"
    kept = elsewhere / "postgres" / "PG_VERSION"
    kept.parent.mkdir(parents=True)
    kept.write_text("18")
    with pytest.raises(StartFailed, match=f"{kept.parent} has the data of a home"):
        postgres.child_of(replace(open_home(home), base=elsewhere))
    assert kept.read_text() == "18"


@pytest.mark.slow
def test_a_home_may_have_any_name(tmp_path):
    home = tmp_path / 'a "b" #c, 100%41?'
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("company_id\nc1\n")
    try:
        _create_license(home)
        words = ("export", str(contacts), "--license", "acme", "--user", "u", "--json")
        export = _holdfast(home, *words)
        assert export.returncode == 0, export.stderr
        assert json.loads(export.stdout)["credits"]["settled"] == 1
    finally:
        remove_home(home)


def test_a_taken_port_is_named_before_anything_starts(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = _holdfast(home, "up", "--port", str(port))
    assert up.returncode == 1
    assert f"127.0.0.1:{port}: " in up.stderr
    assert "Traceback" not in up.stderr


@pytest.mark.slow
def test_short_commands_at_once_take_turns_or_share(home):
    _create_license(home)
    with ExitStack() as running:
        commands = [
            running.enter_context(_begin(home, "balance", "acme", "--json"))
            for _ in range(4)
        ]
        answers = [json.loads(command.communicate()[0]) for command in commands]
    assert [answer["available"] for answer in answers] == [5000] * 4
    assert not living(home)


def _ask_beside(home: Path, folder: Path, name: str, settings: dict[str, str]) -> None:
    """Every command of a person, with a provider that is asked for one e-mail."""
    entries, contacts = folder / "directory.jsonl", folder / "contacts.csv"
    entries.write_text('{"person_id": "p1", "phone": "+1 555 1"}\n')
    columns = "company_id,company_domain,person_id,first_name,last_name"
    contacts.write_text(f"{columns}\n{name},{name}.example,{name},Ada,Lovelace\n")
    who = ("--license", "acme", "--user", "u")
    what = ("--retrieve", "email", "--email-level", "accept_all")
    asked = (str(contacts), *who, *what)
    for words in (
        ("directory", "load", str(entries)),
        ("quote", *asked),
        ("export", *asked, "--out", str(folder / f"{name}.csv")),
        ("jobs",),
        ("balance", "acme"),
        ("audit",),
    ):
        done = _holdfast(home, *words, **settings)
        assert done.returncode == 0, (words, done.stderr)
    assert f"@{name}.example" in (folder / f"{name}.csv").read_text()


@pytest.mark.slow
def test_a_provider_is_asked_under_up_and_without(home, tmp_path):
    with closing(Sandbox()) as sandbox:
        sandbox.behave("hunter")
        asking = {
            "PROVIDERS": "directory,hunter",
            "HUNTER_KEY": "k",
            "HUNTER_URL": f"{sandbox.url}/hunter",
        }
        with _up(home, **asking) as address:
            _create_license(home, **asking)
            _ask_beside(home, tmp_path, "near", asking)
            assert _get(address, "/readyz")[0] == 200
        _ask_beside(home, tmp_path, "solo", asking)
    assert not living(home)


def _open_to_others(home: Path) -> list[Path]:
    """What others may read or change: all but the home and links in it is closed."""
    opened = open_home(home)
    places = {opened.root, opened.base, opened.sockets}
    paths = [path for place in places for path in place.rglob("*")]
    return [
        path
        for path in (*paths, opened.sockets)
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


_AS_SOMEBODY_ELSE = """
import os, sys
os.setgroups([]); os.setgid(54321); os.setuid(54321)
for path in sys.stdin.read().split("\\n"):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
        print(path)
    except (PermissionError, FileNotFoundError):
        pass
"""


@pytest.mark.slow
def test_nothing_in_a_home_can_be_read_by_another_user_of_the_machine():
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    (place / "control").write_bytes(b"for all")
    home = place / "home"
    contacts = place / "contacts.csv"
    contacts.write_text(_CONTACTS)
    try:
        with _up(home):
            _create_license(home)
            out = place / "out.csv"
            export = ("export", str(contacts), "--license", "acme", "--user", "ada")
            exported = _holdfast(home, *export, "--out", str(out))
            assert exported.returncode == 0, exported.stderr
            assert _open_to_others(home) == []
            paths = [place / "control", *home.rglob("*"), home]
            assert {"files", "logs", "postgres", "valkey", "running.json"} <= {
                path.name for path in paths
            }
            if os.geteuid() == 0:
                read = subprocess.run(
                    [sys.executable, "-c", _AS_SOMEBODY_ELSE],
                    input="\n".join(map(str, paths)),
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert read.stdout.split() == [str(place / "control")]
        # As older versions have left it.
        for path in [home / "files", home / "logs", *(home / "files").rglob("*")]:
            path.chmod(0o755)
        (home / "logs" / "api.log").chmod(0o644)
        with _up(home):
            assert _open_to_others(home) == []
    finally:
        for process in living(home):
            process.kill()
        remove_home(home)
        shutil.rmtree(place)
