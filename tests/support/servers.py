"""The real servers that tests run against: named ones, or our own from wheels."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from worker.embedded import postgres, valkey
from worker.embedded.home import Home, open_home, remove_home
from worker.embedded.locks import Locks
from worker.embedded.supervisor import Supervisor

_DATABASES_BYTES = 4 << 30
"""What two runs at once may need: a few databases each, and their logs."""


@contextmanager
def supervised(folder: Path) -> Iterator[tuple[Home, Supervisor]]:
    """A home and who starts servers in it; both are gone after the block."""
    home = open_home(folder)
    with Locks(home.root).owned() as lock_fd:
        assert lock_fd is not None
        supervisor = Supervisor(home, lock_fd)
        try:
            yield home, supervisor
        finally:
            supervisor.stop()
            remove_home(folder)


def _roomy_memory() -> Path | None:
    """A file system in memory with room for the databases of tests, where there is one.

    A database is 300 files, and ext4 takes a quarter of a second of its processor to
    make so many where as many have just been removed.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > _DATABASES_BYTES:
        return memory
    return None


@contextmanager
def _quick_folder() -> Iterator[Path]:
    """A folder that a server run by another user reaches."""
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir=_roomy_memory()) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder / "home"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the block."""
    named = os.environ.get("HOLDFAST_TEST_DATABASE_URL")
    if named:
        yield named
        return
    with own_postgres_server() as own:
        yield own.url


class OwnPostgres(NamedTuple):
    """A server of our own, and the folder of the programs that came with it."""

    url: str
    programs: Path


@contextmanager
def own_postgres_server() -> Iterator[OwnPostgres]:
    """A PostgreSQL of our own, whichever is named, that lives as long as the block."""
    with _quick_folder() as folder, supervised(folder) as (home, supervisor):
        child = postgres.child_of(home, durable=False)
        supervisor.start(child)
        yield OwnPostgres(postgres.url_of(home), Path(child.argv[0]).parent)


class OwnBroker:
    """A Valkey of the test's own, which it may stop and start again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._locks = Locks(home.root)
        self.url = valkey.url_of(home)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it for as long as the block; what was queued outlives that."""
        with self._locks.owned() as lock_fd:
            assert lock_fd is not None
            supervisor = Supervisor(self._home, lock_fd)
            try:
                supervisor.start(valkey.child_of(self._home))
                yield
            finally:
                supervisor.stop()


@contextmanager
def own_broker(folder: Path) -> Iterator[OwnBroker]:
    """A Valkey that is not running yet."""
    try:
        yield OwnBroker(open_home(folder))
    finally:
        remove_home(folder)
