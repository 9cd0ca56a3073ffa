"""What runs in a home: as much of it as is wanted, started once, shared by others.

A command that finds its home's servers running uses them; otherwise it starts what
it needs, and stops it again.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from worker.embedded import postgres, valkey
from worker.embedded.errors import HomeInUse, NotPrepared, StartFailed
from worker.embedded.gate import Gate
from worker.embedded.home import Home, open_home
from worker.embedded.locks import Locks, Note
from worker.embedded.supervisor import Child, Kind, Supervisor
from worker.infrastructure.clock import Stopwatch, wait

_TURN_WITHIN_S = 60.0
_LOOK_S = 0.1
_OK = b"200"
_ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to run; a URL that is given is used instead of a server of our own.

    `prepare` is called with the database's URL before anything else works on it; or a
    command of ours does it, in these words, so that what it imports ends with it.
    `workers_live` says with the URL whether worker and dispatcher have reported. `api`
    is where the API listens; with it, the stack is `up` and refuses to share a home.
    """

    home: Path
    prepare: Callable[[str], None] | Sequence[str]
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
    note = _note(wanted, home, listening)
    prepared = Gate()
    cleanup.callback(prepared.close)
    ahead = _work(wanted, home, note, listening, prepared) if wanted.workers else []
    if wanted.workers and wanted.broker_url is None:
        ahead.insert(0, valkey.child_of(home))
    for child in ahead:
        supervisor.launch(child)
    _prepare(wanted, home, note, supervisor, cleanup)
    prepared.open()
    for child in ahead:
        supervisor.wait_for(child)
    return note


def _note(wanted: Wanted, home: Home, listening: socket.socket | None) -> Note:
    broker_url = wanted.broker_url or valkey.url_of(home)
    return Note(
        database_url=wanted.database_url or postgres.url_of(home),
        broker_url=broker_url if wanted.workers else None,
        api_url=None if listening is None else _url_of(listening),
        up=listening is not None,
    )


def _prepare(
    wanted: Wanted, home: Home, note: Note, supervisor: Supervisor, cleanup: ExitStack
) -> None:
    """Have a database that answers, with all that it lacked. Raises `NotPrepared`."""
    answers = Gate()
    cleanup.callback(answers.close)
    child = None
    if not callable(wanted.prepare):
        child = _command(home, wanted.prepare, _env(wanted, home, note), after=answers)
        child = replace(child, heard=True)
        supervisor.launch(child)
    if wanted.database_url is None:
        supervisor.start(postgres.child_of(home))
    answers.open()
    if callable(wanted.prepare):
        wanted.prepare(note.database_url)
    elif child is not None and (status := supervisor.end_of(child)):
        raise NotPrepared(status)


def _work(
    wanted: Wanted,
    home: Home,
    note: Note,
    listening: socket.socket | None,
    prepared: Gate,
) -> list[Child]:
    """API, worker and dispatcher, which begin once the database is prepared."""
    env = _env(wanted, home, note)
    children = [
        _worker(wanted, home, env, prepared),
        _dispatcher(wanted, home, env, prepared, note.database_url),
    ]
    if listening is not None:
        children.append(_api(home, env, prepared, listening))
    return children


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def _listen(address: tuple[str, int], cleanup: ExitStack) -> socket.socket:
    try:
        return cleanup.enter_context(socket.create_server(address))
    except OSError as error:
        host, port = address
        raise StartFailed(f"{host}:{port}: {error.strerror or error}") from error


def _env(wanted: Wanted, home: Home, note: Note) -> dict[str, str]:
    env = dict(os.environ) | {
        "HOLDFAST_HOME": str(home.root),
        "HOLDFAST_DATABASE_URL": note.database_url,
        "HOLDFAST_BROKER_URL": note.broker_url or "",
    }
    if wanted.api is None or note.api_url is None:
        return env
    return {"HOLDFAST_PUBLIC_URL": note.api_url} | env | {"HOLDFAST_UNDER_UP": "1"}


def _command(
    home: Home, words: Sequence[str], env: dict[str, str], *, after: Gate
) -> Child:
    """A command of ours, which is started ahead of what it needs."""
    begins = ("--after", str(after.fd))
    return Child(
        name=words[0],
        kind=Kind.WORK,
        argv=[sys.executable, "-P", "-m", "worker.cli", *words, *begins],
        env=env,
        stops=((signal.SIGTERM, 15),),
        cwd=home.root,
        pass_fds=(after.fd,),
    )


def _api(
    home: Home, env: dict[str, str], prepared: Gate, listening: socket.socket
) -> Child:
    host, port = listening.getsockname()[:2]
    fd = listening.fileno()
    child = _command(home, ("api", "--fd", str(fd)), env, after=prepared)
    return replace(
        child, pass_fds=(*child.pass_fds, fd), ready=lambda: _is_ready(host, port)
    )


def _dispatcher(
    wanted: Wanted, home: Home, env: dict[str, str], prepared: Gate, url: str
) -> Child:
    """Waited for after the worker, and ready once both have reported."""
    child = _command(home, ("dispatcher",), env, after=prepared)
    live = wanted.workers_live
    return child if live is None else replace(child, ready=lambda: live(url))


def _worker(wanted: Wanted, home: Home, env: dict[str, str], prepared: Gate) -> Child:
    """Celery: TERM lets tasks end, QUIT hands them back."""
    child = _command(home, ("worker",), env, after=prepared)
    return replace(
        child,
        stops=((signal.SIGTERM, min(15, wanted.worker_grace_s)), (signal.SIGQUIT, 10)),
    )


def _is_ready(host: str, port: int) -> bool:
    """Ask as a person at a terminal would: importing a client takes longer."""
    request = f"GET /readyz HTTP/1.0\r\nHost: {host}\r\n\r\n"
    try:
        with socket.create_connection((host, port), _ANSWER_WITHIN_S) as client:
            client.sendall(request.encode())
            with client.makefile("rb") as answer:
                return answer.readline().split()[1:2] == [_OK]
    except OSError:
        return False
