"""A real Odoo: one that is named, or one that `odoo-up` starts for the tests.

`HOLDFAST_TEST_ODOO_URL`, `_KEY` and `_ADMIN_URL` (its PostgreSQL) name a running one
with a template database `tpl_crm19`. `HOLDFAST_TEST_ODOO_UP` names a program that is
called as `odoo-up FOLDER PGPORT HTTPPORT` and leaves the key in FOLDER/apikey.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from psycopg import sql

TEMPLATE = "tpl_crm19"
_START_S = 600


@dataclass(frozen=True)
class Server:
    """A running Odoo, and the PostgreSQL that its databases are in."""

    url: str
    key: str
    admin_url: str


@dataclass(frozen=True)
class OdooDatabase:
    """One database of an Odoo, for one test."""

    server: Server
    name: str

    @property
    def settings(self) -> dict[str, Any]:
        return {"url": self.server.url, "database": self.name}

    @property
    def secrets(self) -> dict[str, str]:
        return {"api_key": self.server.key}

    def call(self, model: str, method: str, **arguments: Any) -> Any:
        """What Odoo answers, past our own connector."""
        reply = httpx.post(
            f"{self.server.url}/json/2/{model}/{method}",
            headers={
                "Authorization": f"bearer {self.server.key}",
                "X-Odoo-Database": self.name,
            },
            json=arguments,
            timeout=120,
        )
        assert reply.status_code == 200, reply.text
        return reply.json()

    def ours(self) -> list[dict[str, Any]]:
        """The partners that have our key, by that key."""
        keys = self.call(
            "ir.model.data",
            "search_read",
            domain=[["module", "=", "holdfast"]],
            fields=["name", "res_id"],
        )
        rows = {row["id"]: row for row in self.partners([k["res_id"] for k in keys])}
        return [rows[key["res_id"]] | {"key": key["name"]} for key in keys]

    def partners(self, ids: list[int]) -> list[dict[str, Any]]:
        """Partners by id, those that are archived too."""
        fields = ["name", "email", "is_company", "parent_id", "category_id", "user_id"]
        found: list[dict[str, Any]] = self.call(
            "res.partner",
            "search_read",
            domain=[["id", "in", ids]],
            fields=[*fields, "phone", "website", "function", "vat", "write_date"],
            context={"active_test": False},
        )
        return found

    def count(self, *domain: list[Any]) -> int:
        """How many partners there are."""
        count: int = self.call("res.partner", "search_count", domain=list(domain))
        return count


@contextmanager
def running() -> Iterator[Server]:
    """The Odoo that is named, or one of our own until the end."""
    if url := os.environ.get("HOLDFAST_TEST_ODOO_URL"):
        key = os.environ["HOLDFAST_TEST_ODOO_KEY"]
        yield Server(url, key, os.environ["HOLDFAST_TEST_ODOO_ADMIN_URL"])
        return
    program = _program()
    assert program is not None
    folder = Path(os.environ.get("HOLDFAST_TEST_ODOO_HOME", _folder()))
    pg_port, http_port = _free_port(), _free_port()
    ports = [str(pg_port), str(http_port)]
    with folder.with_suffix(".log").open("wb") as log:
        started = subprocess.run(
            [program, str(folder), *ports],
            check=False,
            timeout=_START_S,
            stdout=log,
            stderr=log,
        )
    assert started.returncode == 0, f"{program} started no Odoo: see {log.name}"
    try:
        yield Server(
            f"http://127.0.0.1:{http_port}",
            (folder / "apikey").read_text().strip(),
            f"postgresql://pgadmin@127.0.0.1:{pg_port}/postgres",
        )
    finally:
        subprocess.run([program, str(folder), "stop"], check=False, timeout=60)


def why_not() -> str | None:
    """Why there is no Odoo to test against, where there is none."""
    if os.environ.get("HOLDFAST_TEST_ODOO_URL") or _program():
        return None
    return "no Odoo is named, and there is no odoo-up: see docs/operating.md"


def _program() -> str | None:
    return os.environ.get("HOLDFAST_TEST_ODOO_UP") or shutil.which("odoo-up")


def _folder() -> str:
    return str(Path(tempfile.gettempdir()) / "holdfast-odoo")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def database(server: Server) -> Iterator[OdooDatabase]:
    """A database of the test's own, with the apps that the template has."""
    name = f"crm19_t{uuid4().hex[:10]}"
    _administrate(server, "CREATE DATABASE {} TEMPLATE {} OWNER odoo", name, TEMPLATE)
    try:
        yield OdooDatabase(server, name)
    finally:
        _administrate(server, "DROP DATABASE {} WITH (FORCE)", name)


def _administrate(server: Server, statement: str, *names: str) -> None:
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL(statement).format(*(sql.Identifier(name) for name in names))
        )
