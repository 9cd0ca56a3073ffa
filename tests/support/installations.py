"""Whole installations to strike at, kept up as their own supervisor would.

`holdfast up`, which restarts its children itself; or the processes of the production
shape with a proxy before each server, restarted as a container's policy does it.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import redis
from sqlalchemy import make_url

from tests.support.brokers import Broker, broker_of
from tests.support.fleet import QUICK, kill, until
from tests.support.homes import living
from tests.support.servers import own_broker, supervised
from tests.support.tcp_proxy import TcpProxy, to_port, to_socket
from worker.embedded import postgres, valkey
from worker.embedded.home import Home, open_home, remove_home

KEY = "the-key-of-the-customers"
_LOOK_S = 0.3
_READY_WITHIN_S = 90

_SETTINGS = QUICK | {
    "LEASE_S": "5",
    "VISIBILITY_TIMEOUT_S": "20",
    "BOOTSTRAP_KEY": KEY,
    "RATE_A_MINUTE": "1000000",
    "WEBHOOK_ALLOW_PRIVATE": "1",
    "CRM_TIMEOUT_S": "2",
    "CRM_SETTLE_S": "0.5",
}


class Installation:
    """Commands that run in a home, each started again when it ends."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.files = home / "files"
        self.proxies: dict[str, TcpProxy] = {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = _SETTINGS | {"HOME": str(home), "PUBLIC_URL": self.url} | settings
        self._env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("HOLDFAST_")
        } | {f"HOLDFAST_{name}": value for name, value in given.items()}
        self._kept: list[tuple[tuple[str, ...], subprocess.Popen[bytes]]] = []
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def keep(self, *commands: tuple[str, ...]) -> None:
        """Start commands, and start each again for as long as this lives."""
        self._kept = [(words, self.command(*words)) for words in commands]
        self._keeper.start()

    def _keep(self) -> None:
        while not self._ending.wait(_LOOK_S):
            self._kept = [
                (words, process if process.poll() is None else self.command(*words))
                for words, process in self._kept
            ]

    def command(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a command of this installation's."""
        log = self.home.parent / f"{words[0]}.log"
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.cli", *words],
                env=self._env | {f"HOLDFAST_{k}": v for k, v in settings.items()},
                cwd=self.home.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "worker.cli", *words],
            env=self._env,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def roles(self) -> Mapping[str, list[int]]:
        """The processes that live now, by what they are."""
        found = defaultdict[str, list[int]](list)
        for _, process in list(self._kept):
            with suppress(psutil.Error):
                root = psutil.Process(process.pid)
                _sort_in(found, [root, *root.children(recursive=True)])
        return found

    def empty_broker(self) -> None:
        """Lose every message."""
        raise NotImplementedError

    def wait_until_ready(self) -> None:
        """Wait until it serves, or for so long that it seems not to."""
        give_up_s = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < give_up_s:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5).is_success:
                    return
            time.sleep(_LOOK_S)

    def log(self) -> str:
        """The end of all that the processes have said."""
        paths = [*self.home.parent.glob("*.log"), *self.home.glob("logs/*.log")]
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-8_000:]}"
            for path in paths
        )

    def stop(self) -> None:
        """End everything."""
        self._ending.set()
        self._keeper.join()
        for _, process in self._kept:
            kill(process)
        for proxy in self.proxies.values():
            proxy.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


_COMMANDS = ("up", "api", "worker", "dispatcher")


def _sort_in(
    roles: defaultdict[str, list[int]], processes: Iterable[psutil.Process]
) -> None:
    """Add to the roles whoever still lives, and has one."""
    for process in processes:
        with suppress(psutil.Error):
            if role := _role_of(process):
                roles[role].append(process.pid)


def _role_of(process: psutil.Process) -> str | None:
    """What a process is, by how it was started."""
    words = process.cmdline()
    parent = process.parent()
    named = [word for word in words[3:5] if word in _COMMANDS]
    if "worker.cli" in words and named:
        is_child = parent is not None and parent.cmdline()[3:5] == words[3:5]
        return f"child of {named[0]}" if is_child else named[0]
    program = Path(words[0]).name if words else ""
    if program.startswith("postgres"):
        return "postgres" if len(words) > 1 and "-D" in words else "backend"
    if "valkey" in program or "redis" in program:
        return "valkey"
    return "guardian" if any("guardian" in word for word in words) else None


class _Up(Installation):
    """`holdfast up`, in a home of its own."""

    def empty_broker(self) -> None:
        address = valkey.url_of(open_home(self.home)).replace("redis+socket", "unix")
        with suppress(redis.RedisError), redis.Redis.from_url(address) as client:
            client.flushall()


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[Installation]:
    """`holdfast up` with the servers from wheels."""
    folder.mkdir()
    installation = _Up(folder / "home", **settings)
    words = ("--port", str(installation.port), "--home", str(installation.home))
    installation.keep(("up", *words))
    try:
        yield installation
    finally:
        installation.stop()
        until(lambda: not living(installation.home), within_s=30)
        remove_home(installation.home)


class _Servers(Installation):
    """The production shape: two workers, two dispatchers, the API, and servers.

    `redis_url` counts requests and connections; a broker that is one may do it.
    """

    def __init__(
        self, folder: Path, database: Home, broker: Broker, redis_url: str
    ) -> None:
        self._database = database
        self._broker = broker
        path = str(database.sockets / ".s.PGSQL.5432")
        proxies = {
            "postgres": TcpProxy(to_socket(path)),
            "broker": _before(broker.url),
            "redis": _before(redis_url),
        }
        super().__init__(
            folder / "home",
            HOME=str(folder / "home"),
            DATABASE_URL=make_url(postgres.url_of(database))
            .set(query={}, host="127.0.0.1", port=proxies["postgres"].port)
            .render_as_string(),
            BROKER_URL=_at(broker.url, proxies["broker"].port),
            REDIS_URL=_at(redis_url, proxies["redis"].port),
        )
        self.proxies = proxies

    def roles(self) -> Mapping[str, list[int]]:
        found = defaultdict(list, super().roles())
        _sort_in(found, living(self._database.root))
        return found

    def empty_broker(self) -> None:
        self._broker.flush()


def _before(url: str) -> TcpProxy:
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        return TcpProxy(to_socket(parts.path))
    return TcpProxy(to_port(parts.hostname or "127.0.0.1", parts.port or 5672))


def _at(url: str, port: int) -> str:
    """The same server, by its proxy."""
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        return f"redis://127.0.0.1:{port}/0"
    host = parts.netloc.rpartition("@")[0]
    where = f"{host}@127.0.0.1:{port}" if host else f"127.0.0.1:{port}"
    return parts._replace(netloc=where).geturl()


@contextmanager
def beside_servers(folder: Path, kind: str) -> Iterator[Installation]:
    """API, two workers and two dispatchers beside a PostgreSQL and such a broker."""
    folder.mkdir()
    with (
        supervised(folder / "database") as (home, supervisor),
        broker_of(kind, folder / "broker") as broker,
        own_broker(folder / "redis") as redis_server,
        redis_server.running(),
    ):
        supervisor.start(postgres.child_of(home))
        supervisor.watch()
        (folder / "home").mkdir()
        installation = _Servers(folder, home, broker, redis_server.url)
        assert installation.ask("migrate").returncode == 0
        api = ("api", "--port", str(installation.port))
        others = [("worker",), ("worker",), ("dispatcher",), ("dispatcher",)]
        installation.keep(api, *others)
        try:
            yield installation
        finally:
            installation.stop()
