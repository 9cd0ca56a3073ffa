"""A Salesforce of the sandbox, and the connector in front of it."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.connections.connectors.plain_http import PlainHttp
from tests.support.sandboxes import Sandbox
from worker.connections.connectors.connector import (
    Access,
    Kind,
    Rejected,
    Result,
    Row,
    Wanted,
)
from worker.connections.connectors.salesforce.connector import Salesforce

KEY = "Holdfast_Id__c"
UPSERT = "PATCH /services/data/v62.0/composite/sobjects/Contact/Holdfast_Id__c"


class Org:
    """What is in the org, as somebody sees it who looks at the screen."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = PlainHttp()
        self.waits: list[float] = []
        self.on_wait: Callable[[float], object] = lambda _: None
        self.salesforce = self.connector()

    def connector(self, **settings: Any) -> Salesforce:
        """Another connection to it."""
        url = {"url": f"{self.sandbox.url}/salesforce"}
        access = Access(settings=url | settings, secrets={})
        return Salesforce(self.http, access, self._wait)

    def _wait(self, pause_s: float) -> None:
        self.waits.append(pause_s)
        self.on_wait(pause_s)

    def behave(self, **how: Any) -> None:
        """Have it behave so from now on."""
        self.sandbox.behave("salesforce", **{"finish_ms": 0} | how)

    @property
    def tally(self) -> dict[str, Any]:
        """What is there, and what it was asked."""
        return self.sandbox.tally("salesforce")

    def asked(self, path: str) -> int:
        """How often a path was asked."""
        paths: dict[str, int] = self.tally["paths"]
        return paths.get(path, 0)

    def plant(self, kind: Kind, **fields: Any) -> str:
        """Make a record by hand; its id."""
        return self.plant_all(kind, [fields])[0]

    def plant_all(self, kind: Kind, records: list[dict[str, Any]]) -> list[str]:
        """Make records by hand; their ids."""
        params = {"type": "contacts" if kind is Kind.PERSON else "companies"}
        return [str(one) for one in self._post("records", records, params)]

    def plant_user(self, **fields: str) -> None:
        """Make another user."""
        self._post("records", [fields], {"type": "users"})

    def records(self) -> dict[str, dict[str, Any]]:
        """The contacts by their ids."""
        shown = httpx.get(f"{self._door}/records").json()
        return {one["id"]: one["fields"] for one in shown}

    def merge(self, winner: str, loser: str) -> None:
        """Merge a record into another."""
        self._post("merge", [winner, loser])

    def configure(self, **what: Any) -> None:
        """Change fields, hide records, or make trouble, as an admin does."""
        httpx.patch(f"{self._door}/org", json=what).raise_for_status()

    def abort_all(self) -> None:
        """Abort the ingest jobs that are under way."""
        self._post("abort", None)

    @property
    def _door(self) -> str:
        return f"{self.sandbox.url}/_sandbox/salesforce"

    def _post(self, path: str, body: Any, params: Any = None) -> Any:
        answer = httpx.post(f"{self._door}/{path}", params=params, json=body)
        return answer.raise_for_status().json()

    def found(self, kind: Kind, **wanted: Any) -> Any:
        """What there is of one that is wanted."""
        one = Wanted(id="w", **{"fields": {"Title": "x"}, **wanted})
        return self.salesforce.find(kind, [one]).get("w")


def rows_of(count: int, **changed: dict[str, str]) -> list[Row]:
    """Persons p0, p1, ..., some of them with other fields."""
    return [
        Row(
            id=f"p{n}",
            fields={"LastName": f"N{n}", "Email": f"n{n}@engine.example"}
            | changed.get(f"p{n}", {}),
        )
        for n in range(count)
    ]


def rejected(results: Mapping[str, Result]) -> dict[str, Rejected]:
    """Those that were rejected."""
    return {k: v for k, v in results.items() if isinstance(v, Rejected)}
