"""Backup, restore and upgrade, by the very commands that their pages show."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.files.local_folder import LocalFolder
from storage.ledger import audit
from storage.migrations.migrator import migrate
from storage.retention import erased_persons
from tests.support.databases import new_database
from tests.support.fleet import (
    Fleet,
    answer,
    assert_exact,
    fleet_of,
    load_persons,
    submit,
    until,
)
from tests.support.servers import own_broker
from worker.embedded import postgres
from worker.retention import person_erasure

_DOCS = Path(__file__).parents[2] / "docs"
_PERSONS = 4_000


def _blocks(page: str) -> list[str]:
    """The commands of a page, block by block."""
    found = re.findall(
        r"^( *)```sh\n(.*?)^ *```", (_DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return [textwrap.dedent(block) for _, block in found]


@dataclass(frozen=True, slots=True)
class _Place:
    """A database, a broker and files, and where backups go."""

    fleet: Fleet
    database_url: str
    backup: Path

    @property
    def files(self) -> Path:
        return self.fleet.deps.settings.home / "files"

    def run(self, block: str) -> str:
        """Run a block as an operator's shell would; what it has printed."""
        programs = [Path(sys.executable).parent, *_database_programs()]
        env = dict(os.environ) | {
            "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
            "DATABASE": self.database_url.replace("+psycopg", ""),
            "FILES": str(self.files),
            "BACKUP": str(self.backup),
            "HOLDFAST_DATABASE_URL": self.database_url,
            "HOLDFAST_ARTIFACTS_URL": self.files.as_uri(),
            "HOLDFAST_HOME": str(self.files.parent),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=env,
            cwd=self.backup,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


def _database_programs() -> list[Path]:
    return list(postgres._candidates(postgres._wheel()))[:1]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    return folder


@pytest.fixture
def place(database_url: str, backup: Path, tmp_path: Path) -> Iterator[_Place]:
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker(tmp_path / "broker"))
        stack.enter_context(broker.running())
        fleet = stack.enter_context(
            fleet_of(tmp_path / "fleet", database_url, broker.url)
        )
        yield _Place(fleet, database_url, backup)


@pytest.fixture
def empty_place(server: str, backup: Path, tmp_path: Path) -> Iterator[_Place]:
    """Another house, with nothing in its database, its broker and its files."""
    with ExitStack() as stack:
        url = stack.enter_context(new_database(server))
        broker = stack.enter_context(own_broker(tmp_path / "other broker"))
        stack.enter_context(broker.running())
        folder = tmp_path / "other fleet"
        folder.mkdir()
        fleet = Fleet(folder, url, broker.url)
        stack.callback(fleet.stop)
        yield _Place(fleet, url, backup)


def _is_sound(fleet: Fleet) -> bool:
    with fleet.deps.database.transaction() as connection:
        return audit.run(connection) == []


def _put_back_secret_key(place: _Place, empty_place: _Place) -> None:
    """What the page asks for in words: nothing sealed can be checked without it."""
    home, other = (each.fleet.deps.settings.home for each in (place, empty_place))
    other.mkdir(exist_ok=True)
    shutil.copy(home / "secret.key", other / "secret.key")


@pytest.mark.slow
def test_a_job_under_way_is_backed_up_restored_and_ends_exactly(place, empty_place):
    fleet = place.fleet
    load_persons(fleet.deps, 2 * _PERSONS)
    fleet.start("dispatcher", "worker")
    ended = submit(fleet.deps, 0, 200)
    fleet.ended(ended)
    under_way = submit(fleet.deps, 200, _PERSONS)
    fleet.reached(under_way, 100)
    for block in _blocks("backup.md"):
        place.run(block)
    assert fleet.report(under_way).finished_at is None
    later = submit(fleet.deps, _PERSONS, _PERSONS + 100)
    fleet.ended(later)
    fleet.stop()

    _put_back_secret_key(place, empty_place)
    printed = "".join(map(empty_place.run, _blocks("restore.md")))
    assert "every promise holds" in printed
    restored = empty_place.fleet
    before = restored.report(under_way)
    assert before.finished_at is None
    assert 100 <= before.delivered < before.records
    assert restored.scalar("SELECT count(*) FROM jobs") == 2
    restored.start("dispatcher", "worker")
    assert_exact(restored, ended, 0, 200)
    assert_exact(restored, under_way, 200, _PERSONS)
    again = submit(restored.deps, _PERSONS, _PERSONS + 100)
    right = answer(_PERSONS, _PERSONS + 100)
    assert restored.ended(again).settled == right.settled
    assert _is_sound(restored)


def test_who_was_erased_since_the_backup_is_erased_again(place, empty_place):
    load_persons(place.fleet.deps, 10)
    submit(place.fleet.deps, 0, 10)
    for block in _blocks("backup.md"):
        place.run(block)
    person_erasure.erase(place.fleet.deps, "p1")
    for block in _blocks("restore.md"):
        empty_place.run(block)
    known = "SELECT count(*) FROM directory WHERE person_id = 'p1'"
    assert empty_place.fleet.scalar(known) == 1
    with place.fleet.deps.database.transaction() as connection:
        erased = connection.execute(text("SELECT person_id FROM erasures")).scalars()
        lost = list(erased)
    for person_id in lost:
        empty_place.run(f"holdfast erase-person {person_id}")
    assert empty_place.fleet.scalar(known) == 0
    with empty_place.fleet.deps.database.transaction() as connection:
        assert erased_persons.among(connection, "acme", ["p1"]) == {"p1"}


@pytest.mark.slow
def test_a_backup_goes_on_where_files_come_and_go(place):
    """A file that goes while it is copied is told by the exit status 1 alone."""
    (_, copy) = _blocks("backup.md")[0].strip().split("\n")
    files = LocalFolder(place.files)
    for number in range(2_000):
        with files.create(f"jobs/j{number}/x") as draft:
            draft.write(b"x")
    remover = subprocess.Popen(
        ["bash", "-c", 'for d in "$0"/jobs/*; do rm -r "$d"; done', str(place.files)]
    )
    place.run(copy)
    remover.wait(timeout=60)


@pytest.mark.slow
def test_an_upgrade_with_a_job_under_way_loses_nothing(place):
    fleet = place.fleet
    load_persons(fleet.deps, _PERSONS)
    processes = fleet.start("dispatcher", "worker")
    job_id = submit(fleet.deps, 0, _PERSONS)
    fleet.reached(job_id, 100)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert fleet.report(job_id).finished_at is None
    assert fleet.scalar("SELECT count(*) FROM chunks WHERE state = 'running'") == 0
    for block in _blocks("upgrade.md"):
        assert "every promise holds" in place.run(block)
    fleet.start("dispatcher", "worker")
    assert_exact(fleet, job_id, 0, _PERSONS)


@pytest.mark.slow
def test_nobody_works_on_the_schema_of_another_version(place):
    def say(version: str) -> None:
        with place.fleet.deps.database.transaction() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :version"),
                {"version": version},
            )

    with place.fleet.deps.database.transaction() as connection:
        (right,) = connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalars()
    broker = "HOLDFAST_BROKER_URL=redis://127.0.0.1:1 holdfast"
    for version, why in (("9999", "a newer version made"), ("0001", "not migrated")):
        say(version)
        for role in ("worker", "dispatcher"):
            assert why in place.run(f"{broker} {role} || test $? -eq 1")
    say("9999")
    assert "a newer version made" in place.run("holdfast migrate || test $? -eq 1")
    say(right)
    migrate(place.fleet.deps.database)
    until(lambda: _is_sound(place.fleet))
