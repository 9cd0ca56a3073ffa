"""The CRMs that the contract of connectors is tried with, and how to look into each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
import pytest

from tests.odoo import server as odoo
from tests.odoo.proxy import OdooProxy
from tests.support.sandboxes import Sandbox
from worker.sandbox.webhook import SECRET

_TOKEN = {"access_token": "token-of-the-tests"}

Planted = Callable[[str, str], dict[str, Any]]
"""A person as the CRM has them: of an e-mail address and a phone number."""


class Crm(Protocol):
    """A CRM as the contract needs it."""

    connector: str
    settings: dict[str, Any]
    secrets: dict[str, str]
    limit: str
    """What its refusal for too many requests is called."""
    refused: dict[str, str]
    """Secrets that it does not take."""
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
        """All that it has, as it was written, and when where it tells."""

    def values(self) -> Any:
        """All that it has, whenever it was written."""

    def delete_first(self) -> None:
        """Delete the first of the persons."""

    def merge_first(self) -> str:
        """Merge the first of the persons into another; the id of what stays."""

    def plant(self, email: str, phone: str = "", *, opted_out: bool = False) -> str:
        """Make a person of the customer's own; the id."""

    def linked(self) -> int:
        """How many persons of ours are linked to their company."""


class InSandbox:
    """One of the sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        connector: str,
        *,
        secrets: dict[str, str] = _TOKEN,
        refused: dict[str, str],
        writes: str,
        planted: Planted = lambda *_: {},
        flag: dict[str, Any] | None = None,
        company: str = "",
        limit: str = "rate_limited",
        usual: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._sandbox = sandbox
        self._planted = planted
        self._flag = flag or {}
        self._company = company
        self._usual = {"finish_ms": 0, **(usual or {})}
        self.connector = connector
        self.settings = {"url": f"{sandbox.url}/{connector}"} | settings
        self.secrets = secrets
        self.refused = refused
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

    values = shown

    def delete_first(self) -> None:
        first = self._records("contacts").json()[0]["id"]
        httpx.delete(self._url, params={"id": first}).raise_for_status()

    def plant(self, email: str, phone: str = "", *, opted_out: bool = False) -> str:
        person = self._planted(email, phone) | (self._flag if opted_out else {})
        planted = httpx.post(self._url, json=[person]).raise_for_status().json()
        return str(planted[0])

    def linked(self) -> int:
        shown = self._records("contacts").json()
        return sum(
            bool(one.get("fields", one).get(self._company) or one.get(self._company))
            for one in shown
        )

    def merge_first(self) -> str:
        first = self._records("contacts").json()[0]["id"]
        stays = self.plant("another@nowhere.example")
        url = self._url.replace("/records", "/merge")
        merged = httpx.post(url, json=[stays, first]).raise_for_status().json()
        # HubSpot's is a new record, the others keep one of both.
        return str(merged.get("id", stays))

    @property
    def _url(self) -> str:
        return f"{self._sandbox.url}/_sandbox/{self.connector}/records"

    def _records(self, type_: str) -> httpx.Response:
        return httpx.get(self._url, params={"type": type_}).raise_for_status()


class RealOdoo:
    """A real Odoo, behind a proxy that can fail."""

    connector = "odoo"
    limit = "rate_limited"
    writes = r"/load"

    def __init__(self, database: odoo.OdooDatabase, proxy: OdooProxy) -> None:
        self._database = database
        self._proxy = proxy
        self._planted: list[int] = []
        self.behave = proxy.behave
        self.settings = database.settings | {"url": proxy.url}
        self.secrets = database.secrets
        self.refused = {"api_key": "no-key-of-anybody"}

    @property
    def faults_left(self) -> int:
        return self._proxy.faults_left

    def there(self) -> tuple[int, int]:
        kinds = [one["is_company"] for one in self._database.ours()]
        return kinds.count(True), kinds.count(False)

    def shown(self) -> Any:
        return self._database.ours(), self._database.partners(self._planted)

    def values(self) -> Any:
        return [
            [row | {"write_date": None} for row in partners]
            for partners in self.shown()
        ]

    def delete_first(self) -> None:
        self._database.call("res.partner", "unlink", ids=[self._first()])

    def plant(self, email: str, phone: str = "", *, opted_out: bool = False) -> str:
        call = self._database.call
        person = {"name": "B", "email": email, "phone": phone}
        (planted,) = call("res.partner", "create", vals_list=[person])
        self._planted.append(planted)
        if opted_out:
            call("mail.blacklist", "create", vals_list=[{"email": email}])
        return str(planted)

    def linked(self) -> int:
        return sum(bool(one["parent_id"]) for one in self._database.ours())

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


_HUBSPOT: dict[str, Any] = {
    "writes": r"/batch/(upsert|update|create) ",
    "refused": {"access_token": "revoked"},
    "planted": lambda email, phone: {"email": email, "phone": phone},
    "flag": {"hs_email_optout": "true"},
    "company": "companies",
}
_SALESFORCE: dict[str, Any] = {
    "writes": r"PATCH .*/composite/sobjects",
    "limit": "daily_limit",
    "refused": {"access_token": "revoked"},
    "planted": lambda email, phone: {"LastName": "B", "Email": email, "Phone": phone},
    "flag": {"HasOptedOutOfEmail": True},
    "company": "AccountId",
}
_PIPEDRIVE: dict[str, Any] = {
    "writes": r"(POST|PATCH) .*/(organizations|persons)[ /]",
    "secrets": {"api_token": "token"},
    "refused": {"api_token": "revoked"},
    "planted": lambda email, phone: {
        "name": "B",
        "emails": [{"value": email}],
        "phones": [{"value": phone}] if phone else [],
    },
    "flag": {"marketing_status": "unsubscribed"},
    "company": "org_id",
    # More than a real account lets through, so that a test does not wait for it.
    "usual": {"searches": 100_000},
}
_WEBHOOK: dict[str, Any] = {
    "writes": r"push\.(companies|persons)",
    "secrets": {"signing_secret": SECRET},
    "refused": {"signing_secret": "another"},
    "company": "company_id",
}

_JOBS = {"writes": r"PUT .*/jobs/ingest/", "bulk_above": 1}

_IN_SANDBOX: dict[str, tuple[str, dict[str, Any]]] = {
    "hubspot": ("hubspot", _HUBSPOT),
    "hubspot, whole batches": ("hubspot", _HUBSPOT | {"usual": {"refusals": "whole"}}),
    "salesforce": ("salesforce", _SALESFORCE),
    "salesforce, bulk": ("salesforce", _SALESFORCE | _JOBS),
    "pipedrive": ("pipedrive", _PIPEDRIVE),
    "webhook": ("webhook", _WEBHOOK),
}

_LATER = {
    "hubspot, whole batches": pytest.mark.slow,
    "salesforce, bulk": pytest.mark.slow,
    "odoo": pytest.mark.full,
}
"""Other ways of connectors wait for the slow tests, a real CRM for its own target."""

NAMES = [*_IN_SANDBOX, *(() if odoo.why_not() else ("odoo",))]
"""Odoo is there where a real one is named, or can be started."""


def param_of(name: str) -> pytest.ParameterSet:
    """A CRM as what a test is tried with."""
    return pytest.param(name, marks=[_LATER[name]] if name in _LATER else [])


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
