"""`holdfast up` of a build on a home of its own, reached by its public doors."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from bench.installations.builds import Build
from bench.installations.contacts import write_directory

REQUEST_S = 900.0
JOB_S = 3600.0
_STOP_S = 120.0
_FAILED = 300
_ENDED = frozenset({"succeeded", "partial", "cancelled", "failed"})
_SETTINGS = {"RATE_A_MINUTE": "100000000", "WEBHOOK_ALLOW_PRIVATE": "1"}


class Differs(Exception):
    """A total is not what it must be: the run that gave it does not count."""


class Installation:
    """One stack that is up: its address, its database, and the folder it works in."""

    def __init__(self, build: Build, folder: Path, env: Mapping[str, str]) -> None:
        self.build = build
        self.folder = folder
        self.home = folder / "home"
        self.env = dict(env)
        self.key = env["HOLDFAST_BOOTSTRAP_KEY"]
        began_s = time.perf_counter()
        with (folder / "up.log").open("w") as log:
            self._process = subprocess.Popen(
                (self.build.holdfast, "up", "--port", "0", "--home", self.home),
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.ready_after_s = time.perf_counter() - began_s

    def _wait_until_ready(self) -> None:
        """Read where it listens, and where its servers are. Raises where it fails."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("ready "):
            raise RuntimeError((self.folder / "up.log").read_text()[-3000:])
        self.url = line.split()[1]
        self.host, self.port = self.url.split("//")[1].split(":")
        self.note = json.loads((self.home / "running.json").read_text())

    @property
    def pid(self) -> int:
        """The process that all others are below."""
        return self._process.pid

    def stop(self) -> None:
        """End it as its user would, and wait until all of it is gone."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(_STOP_S)

    # -- HTTP.

    def ask(
        self, method: str, path: str, body: object = None, type_: str = "json"
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return its answer's object. Raises where it is refused."""
        connection = HTTPConnection(self.host, int(self.port), timeout=REQUEST_S)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "text/csv" if type_ == "csv" else "application/json",
        }
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        if answer.status >= _FAILED:
            raise RuntimeError(f"{method} {path}: {answer.status} {raw[:500]!r}")
        return json.loads(raw) if raw else None

    def new_license(self) -> str:
        """A license that can pay for everything; its id."""
        name = f"license-{secrets.token_hex(5)}"
        license_ = {"id": name, "name": name, "plan": "V2", "payment_term": "yearly"}
        self.ask("POST", "/v1/licenses", license_ | {"credits": 1_000_000_000})
        return name

    def file_of(self, job: str) -> bytes:
        """The bytes of a job's file."""
        connection = HTTPConnection(self.host, int(self.port), timeout=REQUEST_S)
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            connection.request("GET", f"/v1/jobs/{job}/file", headers=headers)
            answer = connection.getresponse()
            answer.read()
            place = answer.getheader("Location") or ""
            connection.request("GET", re.sub(r"^https?://[^/]+", "", place))
            return connection.getresponse().read()
        finally:
            connection.close()

    # -- The database and the command line.

    def database_url(self, database: str | None = None) -> str:
        """Where its PostgreSQL is, for psycopg; another database of it if named."""
        url = str(self.note["database_url"]).replace("+psycopg", "")
        return re.sub(r"@/[^?]*", f"@/{database}", url) if database else url

    def rows(
        self, statement: LiteralString, *values: object, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement by itself; its rows, if it has any."""
        url = self.database_url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def written_bytes(self) -> float:
        """How many bytes of WAL have been written so far."""
        ((found,),) = self.rows(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"
        )
        return float(found)

    def wait(self, job: str, look_s: float = 0.05) -> None:
        """Wait until a job has ended well. Raises where it ends otherwise."""
        began_s = time.perf_counter()
        with psycopg.connect(self.database_url(), autocommit=True) as connection:
            state = ""
            while state not in _ENDED:
                if time.perf_counter() - began_s > JOB_S:
                    raise RuntimeError(f"{job} is {state} after {JOB_S:.0f} s")
                time.sleep(look_s)
                found = connection.execute(
                    "SELECT state FROM jobs WHERE id = %s", (job,)
                ).fetchone()
                state = found[0] if found else "not there"
        if state != "succeeded":
            raise Differs(f"{job} is {state}")

    def run(self, *words: str, **settings: str) -> str:
        """Run a command of this build in this home; what it printed."""
        done = subprocess.run(
            (self.build.holdfast, *words, "--home", self.home),
            cwd=self.folder,
            env=self.env | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Differs(f"holdfast {words[0]}: {done.stdout}{done.stderr}"[-3000:])
        return done.stdout

    def audit(self) -> None:
        """Check all promises of its ledger. Raises `Differs` where one is broken."""
        self.run("audit", "--json")


@contextmanager
def installed(build: Build, *, persons: int = 0) -> Iterator[Installation]:
    """A build that is up, with what the directory knows of the first `persons`.

    Nothing of it is left behind.
    """
    folder = Path(tempfile.mkdtemp(prefix="hf-bench-"))
    # For PostgreSQL, which is another user where we are root.
    folder.chmod(0o711)
    env = {
        name: word
        for name, word in os.environ.items()
        if not name.startswith(("HOLDFAST_", "PYTHON"))
    } | {f"HOLDFAST_{name}": word for name, word in _SETTINGS.items()}
    env["HOLDFAST_BOOTSTRAP_KEY"] = f"the-key-of-the-benchmark-{secrets.token_hex(8)}"
    if persons:
        write_directory(folder / "directory.jsonl", persons)
        env["HOLDFAST_DIRECTORY"] = str(folder / "directory.jsonl")
    installation: Installation | None = None
    try:
        installation = Installation(build, folder, env)
        if persons:
            installation.rows("VACUUM ANALYZE directory")
        yield installation
    finally:
        if installation is not None:
            installation.stop()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove an installation that has ended, and its data where that lies elsewhere."""
    data = folder / "home" / "postgres"
    if data.is_symlink():
        shutil.rmtree(data.resolve().parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
