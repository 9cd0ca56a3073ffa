"""The real servers that tests run against: named ones, or our own from wheels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.embedded import postgres
from worker.embedded.home import open_home, remove_home
from worker.embedded.locks import Locks
from worker.embedded.supervisor import Supervisor


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the block."""
    named = os.environ.get("HOLDFAST_TEST_DATABASE_URL")
    if named:
        yield named
        return
    home = open_home(folder)
    with Locks(home.root).owned() as lock_fd:
        assert lock_fd is not None
        supervisor = Supervisor(home.logs, lock_fd)
        try:
            supervisor.start(postgres.child_of(home, durable=False))
            yield postgres.url_of(home)
        finally:
            supervisor.stop()
            remove_home(folder)
