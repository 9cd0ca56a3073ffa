"""A HubSpot account and a Salesforce org of the sandbox, and what is in front."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.connections.connectors.plain_http import PlainHttp
from tests.connections.connectors.salesforce_org import Org
from tests.support.sandboxes import Sandbox
from worker.connections.connectors.connector import (
    Access,
    Kind,
    Match,
    Result,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.hubspot.connector import HubSpot

TYPES = {Kind.PERSON: "contacts", Kind.COMPANY: "companies"}


class Account:
    """What is in the account, as somebody sees it who looks at the screen."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._records = f"{sandbox.url}/_sandbox/hubspot/records"
        self.url = f"{sandbox.url}/hubspot"
        self.http = PlainHttp()
        self.hubspot = self.connector(self.http)

    def connector(self, http: PlainHttp, **settings: str) -> HubSpot:
        given = {"url": self.url, **settings}
        return HubSpot(http, Access(settings=given, secrets={}))

    def behave(self, **how: Any) -> None:
        """Have HubSpot behave so from now on."""
        self._sandbox.behave("hubspot", **how)

    @property
    def tally(self) -> dict[str, Any]:
        """What is in the account, and what it was asked."""
        return self._sandbox.tally("hubspot")

    def asked(self, path: str) -> int:
        """How often a path was asked."""
        paths: dict[str, int] = self.tally["paths"]
        return paths.get(path, 0)

    def plant(self, kind: Kind, **properties: str) -> str:
        """Make a record by hand."""
        return self.plant_all(kind, [properties])[0]

    def plant_all(self, kind: Kind, records: list[dict[str, str]]) -> list[str]:
        """Make records by hand; their ids."""
        params = {"type": TYPES[kind]}
        ids: list[str] = httpx.post(self._records, params=params, json=records).json()
        return ids

    def remove(self, kind: Kind, their_id: str) -> None:
        """Remove a record by hand."""
        params = {"type": TYPES[kind], "id": their_id}
        assert httpx.delete(self._records, params=params).status_code == 200

    def records(self, kind: Kind) -> dict[str, dict[str, str]]:
        """All records, by their id."""
        shown = httpx.get(self._records, params={"type": TYPES[kind]}).json()
        return {one["id"]: one["properties"] for one in shown}

    def lists(self, kind: Kind) -> dict[str, list[str]]:
        """The lists that records are in, by their id."""
        shown = httpx.get(self._records, params={"type": TYPES[kind]}).json()
        return {one["id"]: one["lists"] for one in shown}

    def found(self, kind: Kind, **wanted: Any) -> Match | None:
        """What there is of one that is wanted, called `w`."""
        one = Wanted(id="w", **{"fields": {}, **wanted})
        return self.hubspot.find(kind, [one]).get("w")

    def write(self, kind: Kind, **fields: dict[str, str]) -> dict[str, Result]:
        """Write rows by our id."""
        rows = [Row(id=our_id, fields=given) for our_id, given in fields.items()]
        return dict(self.hubspot.write(kind, rows))

    def written(self, kind: Kind, our_id: str, **fields: str) -> str:
        """Write one row; the id that it has there."""
        result = self.write(kind, **{our_id: fields})[our_id]
        assert isinstance(result, Written), result
        return result.their_id


@pytest.fixture
def bare_account() -> Iterator[Account]:
    """One that nothing was ever pushed to."""
    box = Sandbox()
    account = Account(box)
    account.behave()
    yield account
    box.close()


@pytest.fixture
def account(bare_account: Account) -> Account:
    """One that has our key, and whose screens are known."""
    bare_account.hubspot.prepare()
    bare_account.hubspot.find(Kind.PERSON, [])
    bare_account.http.exchanges.clear()
    bare_account.http.limits.clear()
    return bare_account


@pytest.fixture
def org() -> Iterator[Org]:
    """One that nothing was ever pushed to."""
    box = Sandbox()
    there = Org(box)
    there.behave()
    yield there
    box.close()
