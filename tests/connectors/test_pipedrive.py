"""What is peculiar to Pipedrive: searches with a limit of their own, values by type."""

from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from tests.connectors.asking import PlainHttp
from tests.sandboxes import Sandbox
from worker.connectors import Access, Keys, Kind, Wanted
from worker.connectors.errors import Throttled
from worker.connectors.pipedrive import KEY_NAME, Pipedrive

_SEARCH = "/pipedrive/api/v2/organizations/search"


class Account:
    """A Pipedrive account that has our key, and the connector in front of it.

    Nothing is created here by a key, so that none has to be held.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.url = f"{sandbox.url}/pipedrive"
        self.http = PlainHttp()
        self.waited_s: list[float] = []
        for fields in ("personFields", "organizationFields"):
            self.make_field(fields, KEY_NAME, "varchar")
        access = Access(settings={"url": self.url}, secrets={"api_token": "t"})
        self.pipedrive = Pipedrive(self.http, access, cast("Keys", None), self._wait)

    def _wait(self, pause_s: float) -> None:
        """Whoever waits is let in then, as after a pause."""
        self.waited_s.append(pause_s)
        self.behave()

    def behave(self, **how: Any) -> None:
        """Have Pipedrive behave so from now on."""
        self._sandbox.behave("pipedrive", **{"searches": 100_000, "window_s": 0} | how)

    @property
    def tokens(self) -> int:
        """What was spent so far."""
        spent: int = self._sandbox.tally("pipedrive")["tokens"]
        return spent

    def searched(self) -> list[int]:
        """What each search was answered with."""
        asked = self.http.exchanges
        return [one.reply.status for one in asked if one.path == _SEARCH]

    def make_field(self, fields: str, name: str, type_: str) -> str:
        """Make a custom field by hand; its code."""
        made = httpx.post(
            f"{self.url}/api/v2/{fields}",
            json={"field_name": name, "field_type": type_},
            headers={"x-api-token": "t"},
        ).raise_for_status()
        code: str = made.json()["data"]["field_code"]
        return code

    def plant(self, kind: Kind, **fields: Any) -> str:
        """Make a record by hand; its id."""
        (id_,) = httpx.post(
            f"{self._sandbox.url}/_sandbox/pipedrive/records",
            params={"type": "contacts" if kind is Kind.PERSON else "companies"},
            json=[fields],
        ).json()
        return str(id_)


@pytest.fixture
def account() -> Iterator[Account]:
    box = Sandbox()
    yield Account(box)
    box.close()


def _wanted(count: int) -> list[Wanted]:
    return [Wanted(id=f"c{n}", fields={}) for n in range(count)]


def test_what_a_search_says_of_its_limit_is_no_limit_of_the_connection(account):
    account.behave(searches=10, window_s=2)
    account.pipedrive.find(Kind.COMPANY, _wanted(1))
    assert account.http.lanes["search"].requests == 10
    assert {limit.requests for limit in account.http.limits} == {80}


def test_a_search_that_came_too_soon_is_waited_for_and_none_is_paid_for_twice(account):
    account.behave(searches=3, window_s=2)
    account.pipedrive.find(Kind.COMPANY, _wanted(5))
    assert account.waited_s == [10]
    assert account.searched() == [200, 200, 200, 429, 200, 200]


def test_a_look_that_begins_anew_searches_for_nothing_a_second_time(account):
    account.pipedrive.find(Kind.COMPANY, [])
    account.behave(daily=account.tokens + 2 * 20)
    with pytest.raises(Throttled):
        account.pipedrive.find(Kind.COMPANY, _wanted(5))
    account.behave()
    account.pipedrive.find(Kind.COMPANY, _wanted(5))
    assert account.searched() == [200, 200, 429, 200, 200, 200]
    account.pipedrive.find(Kind.COMPANY, _wanted(1))
    assert account.searched()[6:] == [200]
