"""What runs in a home: as much of it as is wanted, started once, shared by others.

A command that finds its home's servers running uses them; otherwise it starts what
it needs, and stops it again.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from worker.embedded import postgres, valkey
from worker.embedded.errors import HomeInUse, StartFailed
from worker.embedded.home import Home, open_home
from worker.embedded.locks import Locks, Note
from worker.embedded.supervisor import Child, Kind, Supervisor
from worker.infrastructure.clock import Stopwatch, wait

_TURN_WITHIN_S = 60.0
_LOOK_S = 0.1
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to run; a URL that is given is used instead of a server of our own.

    `prepare` is called with the database's URL before anything else starts, and
    `workers_live` says with it whether worker and dispatcher have reported. `api` is
    where the API listens; with it, the stack is `up` and refuses to share a home.
    """

    home: Path
    prepare: Callable[[str], None]
    database_url: str | None = None
    broker_url: str | None = None
    workers: bool = False
    api: tuple[str, int] | None = None
    worker_grace_s: float = 120
    workers_live: Callable[[str], bool] | None = None


@contextmanager
def running(wanted: Wanted) -> Iterator[Note]:
    """Run what is wanted for as long as the block; or use what runs already.

    Raises `HomeInUse` where the home's servers are another's and will not do, and
    `EmbeddedError` where something does not start.
    """
    home = open_home(wanted.home)
    locks = Locks(home.root)
    tried = Stopwatch()
    while True:
        with locks.owned() as lock_fd:
            if lock_fd is not None:
                with _own(wanted, home, locks, lock_fd) as note:
                    yield note
                return
        with locks.shared() as shared:
            if shared is not None and _will_do(wanted, shared):
                yield shared
                return
            if wanted.api and shared is not None and shared.up:
                raise HomeInUse(f"{home.root} is up already, at {shared.api_url}")
        if tried.elapsed_s > _TURN_WITHIN_S:
            raise HomeInUse(f"{home.root} is in use by another command")
        wait(threading.Event(), _LOOK_S)


def _will_do(wanted: Wanted, note: Note) -> bool:
    if wanted.api:
        return False
    return note.broker_url is not None or not wanted.workers


@contextmanager
def _own(wanted: Wanted, home: Home, locks: Locks, lock_fd: int) -> Iterator[Note]:
    """Start what is wanted, tell others, and at the end stop it again."""
    with ExitStack() as cleanup:
        supervisor = Supervisor(home, lock_fd)
        cleanup.callback(supervisor.stop)
        note = _start(wanted, home, supervisor, cleanup)
        supervisor.watch()
        locks.write(note)
        # Whoever stops `up` wants it stopped; a short command lets others end.
        cleanup.callback(locks.withdraw, wait_for_users=not note.up)
        yield note


def _start(
    wanted: Wanted, home: Home, supervisor: Supervisor, cleanup: ExitStack
) -> Note:
    # Bound first: what is taken is found before anything has started.
    listening = None if wanted.api is None else _listen(wanted.api, cleanup)
    note = _start_database(wanted, home, supervisor)
    if not wanted.workers:
        return note
    note = _start_broker(wanted, home, supervisor, note)
    url = None if listening is None else _url_of(listening)
    env = _env(wanted, home, note, url)
    supervisor.start(_worker(wanted, home, env))
    supervisor.start(_dispatcher(wanted, home, env, note.database_url))
    if listening is None:
        return note
    host, port = listening.getsockname()[:2]
    fd = listening.fileno()
    child = _command(home, "api", env, "--fd", str(fd))
    supervisor.start(
        replace(child, pass_fds=(fd,), ready=lambda: _is_ready(host, port))
    )
    return replace(note, api_url=url, up=True)


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def _listen(address: tuple[str, int], cleanup: ExitStack) -> socket.socket:
    try:
        return cleanup.enter_context(socket.create_server(address))
    except OSError as error:
        host, port = address
        raise StartFailed(f"{host}:{port}: {error.strerror or error}") from error


def _start_database(wanted: Wanted, home: Home, supervisor: Supervisor) -> Note:
    if wanted.database_url is None:
        supervisor.start(postgres.child_of(home))
    note = Note(database_url=wanted.database_url or postgres.url_of(home))
    wanted.prepare(note.database_url)
    return note


def _start_broker(
    wanted: Wanted, home: Home, supervisor: Supervisor, note: Note
) -> Note:
    if wanted.broker_url is None:
        supervisor.start(valkey.child_of(home))
    return replace(note, broker_url=wanted.broker_url or valkey.url_of(home))


def _env(wanted: Wanted, home: Home, note: Note, url: str | None) -> dict[str, str]:
    env = dict(os.environ) | {
        "HOLDFAST_HOME": str(home.root),
        "HOLDFAST_DATABASE_URL": note.database_url,
        "HOLDFAST_BROKER_URL": note.broker_url or "",
    }
    if wanted.api is None or url is None:
        return env
    return {"HOLDFAST_PUBLIC_URL": url} | env | {"HOLDFAST_UNDER_UP": "1"}


def _command(home: Home, name: str, env: dict[str, str], *options: str) -> Child:
    return Child(
        name=name,
        kind=Kind.WORK,
        argv=[sys.executable, "-P", "-m", "worker.cli", name, *options],
        env=env,
        stops=((signal.SIGTERM, 15),),
        cwd=home.root,
    )


def _dispatcher(wanted: Wanted, home: Home, env: dict[str, str], url: str) -> Child:
    """Started after the worker, and ready once both have reported."""
    child, live = _command(home, "dispatcher", env), wanted.workers_live
    return child if live is None else replace(child, ready=lambda: live(url))


def _worker(wanted: Wanted, home: Home, env: dict[str, str]) -> Child:
    """Celery: TERM lets tasks end, QUIT hands them back."""
    child = _command(home, "worker", env)
    return replace(
        child,
        stops=((signal.SIGTERM, min(15, wanted.worker_grace_s)), (signal.SIGQUIT, 10)),
    )


def _is_ready(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
