"""The real servers that tests run against: named ones, or our own from wheels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.embedded import postgres, valkey
from worker.embedded.home import Home, open_home, remove_home
from worker.embedded.locks import Locks
from worker.embedded.supervisor import Supervisor


@contextmanager
def _supervised(folder: Path) -> Iterator[tuple[Home, Supervisor]]:
    home = open_home(folder)
    with Locks(home.root).owned() as lock_fd:
        assert lock_fd is not None
        supervisor = Supervisor(home.logs, lock_fd)
        try:
            yield home, supervisor
        finally:
            supervisor.stop()
            remove_home(folder)


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the block."""
    named = os.environ.get("HOLDFAST_TEST_DATABASE_URL")
    if named:
        yield named
        return
    with _supervised(folder) as (home, supervisor):
        supervisor.start(postgres.child_of(home, durable=False))
        yield postgres.url_of(home)


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
            supervisor = Supervisor(self._home.logs, lock_fd)
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
