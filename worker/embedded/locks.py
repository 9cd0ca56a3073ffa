"""Who runs a home's servers, and who else is using them: three locks, one note.

The owner holds `home.lock`, together with its guardian, so that it is free only when
the servers are gone; and `owner.lock` alone. Whoever uses servers of another holds
`users.lock` with others; the owner waits for them before it stops. The note says how
to reach the servers; it counts only while the owner is there.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.infrastructure.clock import wait

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """How to reach what runs in a home; `up` says that it runs until told to stop."""

    database_url: str
    broker_url: str | None = None
    api_url: str | None = None
    up: bool = False


class Lock:
    """A lock on a file, held until it is released or its holders are gone."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False) -> bool:
        """Take it; False where somebody else holds it."""
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self.fd, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of it, as far as this process holds it."""
        os.close(self.fd)


class Locks:
    """The locks of one home."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._note = root / "running.json"

    @contextmanager
    def owned(self) -> Iterator[int | None]:
        """Own the home: yields the lock's descriptor, or None where it is taken."""
        lock, owner = self._open("home"), self._open("owner")
        try:
            if lock.take() and owner.take():
                self._note.unlink(missing_ok=True)
                yield lock.fd
            else:
                yield None
        finally:
            owner.close()
            lock.close()

    @contextmanager
    def shared(self) -> Iterator[Note | None]:
        """Use the servers of the owner: its note, or None where there is none yet."""
        users = self._open("users")
        try:
            yield self._read() if users.take(shared=True) else None
        finally:
            users.close()

    def write(self, note: Note) -> None:
        """Tell others how to reach the servers."""
        draft = self._note.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(note)))
        draft.replace(self._note)

    def withdraw(self, *, wait_for_users: bool) -> None:
        """Tell nobody any more, once nobody who was told is left.

        Until then others are still told: whoever comes meanwhile is waited for too.
        """
        users = self._open("users")
        never = threading.Event()
        while wait_for_users and not users.take():
            wait(never, _LOOK_S)
        self._note.unlink(missing_ok=True)
        users.close()

    def _open(self, name: str) -> Lock:
        return Lock(self._root / f"{name}.lock")

    def _read(self) -> Note | None:
        owner = self._open("owner")
        try:
            if owner.take(shared=True):
                return None  # a note that a killed owner left behind
            return Note(**json.loads(self._note.read_text()))
        except FileNotFoundError:
            return None
        finally:
            owner.close()
