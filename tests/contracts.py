"""The CRMs that the contract of connectors is tried with, and how to look into each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx

from tests.odoo import server as odoo
from tests.odoo.proxy import OdooProxy
from tests.sandboxes import Sandbox
from worker.sandbox.webhook import SECRET

_TOKEN = {"access_token": "token-of-the-tests"}


class Crm(Protocol):
    """A CRM as the contract needs it."""

    connector: str
    settings: dict[str, Any]
    secrets: dict[str, str]
    limit: str
    """What its refusal for too many requests is called."""
    writes: str
    """A pattern of the requests that write rows."""

    @property
    def faults_left(self) -> int:
        """How many of the faults that it is to have are still to come."""

    def behave(self, **how: Any) -> None:
        """Have it behave so from now on."""

    def there(self) -> tuple[int, int]:
        """How many companies and persons it has of ours."""

    def shown(self) -> Any:
        """All that it has, as it was written."""

    def delete_first(self) -> None:
        """Delete the first of the persons."""

    def merge_first(self) -> str:
        """Merge the first of the persons into another; the id of what stays."""


class InSandbox:
    """One of the sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        connector: str,
        *,
        secrets: dict[str, str] = _TOKEN,
        writes: str,
        limit: str = "rate_limited",
        usual: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._sandbox = sandbox
        self._usual = {"finish_ms": 0, **(usual or {})}
        self.connector = connector
        self.settings = {"url": f"{sandbox.url}/{connector}"} | settings
        self.secrets = secrets
        self.limit = limit
        self.writes = writes
        self.behave()

    def behave(self, **how: Any) -> None:
        self._sandbox.behave(self.connector, **self._usual | how)

    @property
    def faults_left(self) -> int:
        left: int = self._sandbox.tally(self.connector)["faults_left"]
        return left

    def there(self) -> tuple[int, int]:
        tally = self._sandbox.tally(self.connector)
        return tally["companies"], tally["contacts"]

    def shown(self) -> Any:
        return [self._records(type_).json() for type_ in ("contacts", "companies")]

    def delete_first(self) -> None:
        first = self._records("contacts").json()[0]["id"]
        httpx.delete(self._url, params={"id": first}).raise_for_status()

    def merge_first(self) -> str:
        first = self._records("contacts").json()[0]["id"]
        name = "name" if self.connector == "pipedrive" else "LastName"
        planted = [{"hubspot": {"lastname": "B"}}.get(self.connector, {name: "B"})]
        (stays,) = httpx.post(self._url, json=planted).json()
        url = self._url.replace("/records", "/merge")
        merged = httpx.post(url, json=[stays, first]).raise_for_status().json()
        # HubSpot's is a new record, the others keep one of both.
        return str(merged.get("id", stays))

    @property
    def _url(self) -> str:
        return f"{self._sandbox.url}/_sandbox/{self.connector}/records"

    def _records(self, type_: str) -> httpx.Response:
        return httpx.get(self._url, params={"type": type_})


class RealOdoo:
    """A real Odoo, behind a proxy that can fail."""

    connector = "odoo"
    limit = "rate_limited"
    writes = r"/load"

    def __init__(self, database: odoo.OdooDatabase, proxy: OdooProxy) -> None:
        self._database = database
        self._proxy = proxy
        self.behave = proxy.behave
        self.settings = database.settings | {"url": proxy.url}
        self.secrets = database.secrets

    @property
    def faults_left(self) -> int:
        return self._proxy.faults_left

    def there(self) -> tuple[int, int]:
        kinds = [one["is_company"] for one in self._database.ours()]
        return kinds.count(True), kinds.count(False)

    def shown(self) -> Any:
        return self._database.ours()

    def delete_first(self) -> None:
        self._database.call("res.partner", "unlink", ids=[self._first()])

    def merge_first(self) -> str:
        call, wizard = self._database.call, "base.partner.merge.automatic.wizard"
        (stays,) = call("res.partner", "create", vals_list=[{"name": "B"}])
        wanted = {
            "state": "selection",
            "partner_ids": [[6, 0, [stays, self._first()]]],
            "dst_partner_id": stays,
        }
        call(wizard, "action_merge", ids=call(wizard, "create", vals_list=[wanted]))
        return str(stays)

    def _first(self) -> int:
        persons = [one for one in self._database.ours() if not one["is_company"]]
        return min(int(one["id"]) for one in persons)


_BATCHES = {"writes": r"/batch/(upsert|update|create) "}
_COLLECTIONS = {"limit": "daily_limit", "writes": r"PATCH .*/composite/sobjects"}
_JOBS = {"limit": "daily_limit", "writes": r"PUT .*/jobs/ingest/", "bulk_above": 1}
_ROWS = {
    "writes": r"(POST|PATCH) .*/(organizations|persons)[ /]",
    "secrets": {"api_token": "token"},
    "usual": {"searches": 100_000},
}
_MESSAGES = {"writes": r"push\.(companies|persons)"}

_IN_SANDBOX: dict[str, tuple[str, dict[str, Any]]] = {
    "hubspot": ("hubspot", _BATCHES),
    "hubspot, whole batches": ("hubspot", _BATCHES | {"usual": {"refusals": "whole"}}),
    "salesforce": ("salesforce", _COLLECTIONS),
    "salesforce, bulk": ("salesforce", _JOBS),
    "pipedrive": ("pipedrive", _ROWS),
    "webhook": ("webhook", _MESSAGES | {"secrets": {"signing_secret": SECRET}}),
}

NAMES = [*_IN_SANDBOX, *(() if odoo.why_not() else ("odoo",))]
"""Odoo is there where a real one is named, or can be started."""


@contextmanager
def crm_of(name: str, sandbox: Sandbox, server: odoo.Server | None) -> Iterator[Crm]:
    """The CRM of a name, for one test."""
    if server is None:
        connector, how = _IN_SANDBOX[name]
        yield InSandbox(sandbox, connector, **how)
        return
    with odoo.database(server) as database:
        proxy = OdooProxy(server.url)
        try:
            yield RealOdoo(database, proxy)
        finally:
            proxy.close()
