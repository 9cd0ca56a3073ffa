"""What is peculiar to Pipedrive: searches with a limit of their own, values by type."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import httpx
import pytest

from tests.connections.connectors.plain_http import PlainHttp
from tests.support.sandboxes import Sandbox
from worker.connections.connectors.connector import (
    Access,
    Existing,
    Keys,
    Kind,
    Rejected,
    Result,
    Row,
    Wanted,
    Written,
)
from worker.connections.connectors.errors import Misconfigured, Throttled
from worker.connections.connectors.pipedrive.account_fields import KEY_NAME
from worker.connections.connectors.pipedrive.connector import Pipedrive
from worker.sandbox.pipedrive.fields import code_of

_TYPES = {Kind.PERSON: "contacts", Kind.COMPANY: "companies"}
_SEARCH = "/pipedrive/api/v2/organizations/search"


class Account:
    """A Pipedrive account that has our key, and the connector in front of it.

    Nothing is created here by a key, so that none has to be held.
    """

    def __init__(
        self, sandbox: Sandbox, *, key_type: str = "varchar", token: str = "t"
    ) -> None:
        self._sandbox = sandbox
        self.url = f"{sandbox.url}/pipedrive"
        self._records = f"{sandbox.url}/_sandbox/pipedrive/records"
        self.http = PlainHttp(token=token)
        self.waited_s: list[float] = []
        for fields in ("personFields", "organizationFields"):
            self.make_field(fields, KEY_NAME, key_type)
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

    def records(self, kind: Kind) -> list[dict[str, Any]]:
        """What is there, as somebody sees it who looks at the screen."""
        shown = httpx.get(self._records, params={"type": _TYPES[kind]}).json()
        return [one["fields"] for one in shown]

    def leave_campaigns(self) -> None:
        """Change to a plan that knows of no consent."""
        url = f"{self._sandbox.url}/_sandbox/pipedrive/campaigns"
        httpx.delete(url).raise_for_status()

    def hide(self, kind: Kind, their_id: str) -> None:
        """Let the connection's user see a record no more."""
        url = self._records.replace("/records", "/hidden")
        params = {"type": _TYPES[kind], "id": their_id}
        httpx.post(url, params=params).raise_for_status()

    def plant(self, kind: Kind, **fields: Any) -> str:
        """Make a record by hand; its id."""
        (id_,) = httpx.post(
            self._records, params={"type": _TYPES[kind]}, json=[fields]
        ).json()
        return str(id_)


@pytest.fixture
def account() -> Iterator[Account]:
    with closing(Sandbox()) as box:
        yield Account(box)


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


def _written(account: Account, kind: Kind, **by_name: str) -> Result:
    """What becomes of a record with values in fields by their names."""
    their_id = account.plant(kind, name="N")
    fields = {code_of(name): value for name, value in by_name.items()}
    row = Row(id="w", fields=fields, their_id=their_id)
    return account.pipedrive.write(kind, [row])["w"]


_VALUES = [
    ("Code", "A-1", "A-1"),
    ("Stage", "Customer", 2),
    ("Interests", "Lead, Customer", [1, 2]),
    ("Budget", "1500.5 USD", {"value": 1500.5, "currency": "USD"}),
    ("Budget", "1500", {"value": 1500.0, "currency": "EUR"}),
    ("Seats", "12", 12.0),
    ("Founded", "1999-12-31", "1999-12-31"),
    ("Site", "Rue Neuve 1, Brussels", {"value": "Rue Neuve 1, Brussels"}),
    ("Seats", "", None),
]


@pytest.mark.parametrize(("name", "text", "value"), _VALUES)
def test_a_value_is_written_in_the_shape_of_its_fields_type(account, name, text, value):
    result = _written(account, Kind.COMPANY, **{name: text})
    assert isinstance(result, Written), result
    (record,) = account.records(Kind.COMPANY)
    assert record["custom_fields"][code_of(name)] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("Seats", "many"), ("Seats", "nan"), ("Budget", "some EUR"), ("Stage", "Gone")],
)
def test_a_value_that_its_field_cannot_hold_is_refused_alone(account, name, text):
    result = _written(account, Kind.COMPANY, **{name: text})
    assert isinstance(result, Rejected)
    assert result.field == code_of(name)


def test_an_organizations_own_address_is_an_object(account):
    their_id = account.plant(Kind.COMPANY, name="N")
    fields = {"address": "Rue Neuve 1", "label_ids": "Lead", "visible_to": "Owner"}
    row = Row(id="w", fields=fields, their_id=their_id)
    result = account.pipedrive.write(Kind.COMPANY, [row])["w"]
    assert isinstance(result, Written), result
    (record,) = account.records(Kind.COMPANY)
    assert record["address"] == {"value": "Rue Neuve 1"}
    assert (record["label_ids"], record["visible_to"]) == ([1], 1)


_TEXTS = [
    ("Interests", [1, 2], "Lead,Customer"),
    ("Interests", [], ""),
    ("Stage", 2, "Customer"),
    ("Budget", {"value": 1500.5, "currency": "USD"}, "1500.5 USD"),
    ("Budget", {"value": None, "currency": None}, ""),
    ("Seats", 12.0, "12"),
    ("Site", {"value": "Rue Neuve 1", "country": None}, "Rue Neuve 1"),
    ("Site", {"value": None, "country": None}, ""),
    ("Hours", {"from": "09:00:00", "until": "17:00:00"}, "09:00:00/17:00:00"),
    ("Hours", {"from": None, "until": None}, ""),
]


@pytest.mark.parametrize(("name", "value", "text"), _TEXTS)
def test_a_value_is_told_as_the_text_that_would_be_sent(account, name, value, text):
    code = code_of(name)
    their_id = account.plant(Kind.COMPANY, name="N", custom_fields={code: value})
    wanted = Wanted(id="w", fields={code: "x"}, their_id=their_id)
    found = account.pipedrive.find(Kind.COMPANY, [wanted])["w"]
    assert isinstance(found, Existing)
    assert found.fields == {code: text}


def test_only_what_pipedrive_takes_may_be_written(account):
    for kind, own in (
        (Kind.COMPANY, {"name", "owner_id", "visible_to", "label_ids", "address"}),
        (
            Kind.PERSON,
            {"name", "owner_id", "visible_to", "label_ids", "email", "phone"}
            | {"org_id", "marketing_status", "job_title"},
        ),
    ):
        fields = account.pipedrive.fields(kind)
        custom = {"Code", "Stage", "Interests", "Budget", "Seats", "Founded", "Site"}
        writable = {name for name, field in fields.items() if not field.read_only}
        key = {name for name, field in fields.items() if field.label == KEY_NAME}
        assert writable == own | {code_of(name) for name in custom} | key
        assert fields["open_deals_count"].read_only


def test_a_field_that_says_itself_whether_it_is_writable_is_believed(account):
    fields = account.pipedrive.fields(Kind.PERSON)
    assert not fields["job_title"].read_only
    assert fields[code_of("Score")].read_only


@pytest.mark.parametrize("type_", ["double", "text"])
def test_a_field_of_our_keys_name_that_can_hold_none_is_told_of(type_):
    with closing(Sandbox()) as box:
        account = Account(box, key_type=type_)
        with pytest.raises(Misconfigured, match="rename it"):
            account.pipedrive.prepare()


def test_a_record_that_we_may_not_write_is_refused_alone(account):
    hidden = account.plant(Kind.COMPANY, name="N")
    account.hide(Kind.COMPANY, hidden)
    free = account.plant(Kind.COMPANY, name="N")
    rows = [Row(id=id_, fields={"name": "New"}, their_id=id_) for id_ in (hidden, free)]
    results = account.pipedrive.write(Kind.COMPANY, rows)
    refused = results[hidden]
    assert isinstance(refused, Rejected)
    assert refused.code == "forbidden"
    assert isinstance(results[free], Written)


def test_a_connection_without_the_right_to_write_stops_and_blames_no_record():
    with closing(Sandbox()) as box:
        account = Account(box, token="reader")
        row = Row(id="w", fields={}, their_id=account.plant(Kind.COMPANY, name="N"))
        with pytest.raises(Misconfigured) as stopped:
            account.pipedrive.write(Kind.COMPANY, [row])
    assert stopped.value.code == "forbidden"


def _contacted(account: Account, their_id: str) -> bool:
    """Whether we would contact a person."""
    wanted = Wanted(id="w", fields={}, their_id=their_id)
    found = account.pipedrive.find(Kind.PERSON, [wanted])["w"]
    assert isinstance(found, Existing)
    return not found.do_not_contact


def test_who_has_unsubscribed_is_known_after_a_refusal_that_has_another_reason(account):
    their_id = account.plant(Kind.PERSON, name="A", marketing_status="unsubscribed")
    account.pipedrive.find(Kind.PERSON, [])
    account.behave(fault="refused", times=2)
    with pytest.raises(Misconfigured):
        _contacted(account, their_id)
    account.behave()
    assert not _contacted(account, their_id)


def test_an_account_without_campaigns_is_asked_once_for_consent(account):
    account.leave_campaigns()
    their_id = account.plant(Kind.PERSON, name="A", marketing_status="unsubscribed")
    assert _contacted(account, their_id)
    asked = len(account.http.exchanges)
    assert _contacted(account, their_id)
    assert len(account.http.exchanges) == asked + 1


def test_labels_that_somebody_else_has_given_stay_and_none_is_given_twice(account):
    labels = {"label_ids": [1]}
    labelled = account.plant(Kind.PERSON, name="A", **labels)
    bare = account.plant(Kind.PERSON, name="B")
    for _ in range(2):
        account.pipedrive.tag(Kind.PERSON, [labelled, bare], ["customer", "Lead"])
    given = [record["label_ids"] for record in account.records(Kind.PERSON)]
    assert given == [[1, 2], [2, 1]]
    changed = [one for one in account.http.exchanges if one.method == "PATCH"]
    assert len(changed) == 2


@pytest.mark.parametrize("keeps", [False, True])
def test_who_is_in_another_organization_stays_where_nothing_is_overwritten(
    account, keeps
):
    theirs, ours = (account.plant(Kind.COMPANY, name=name) for name in ("A", "B"))
    placed = account.plant(Kind.PERSON, name="x", org_id=int(theirs))
    free = account.plant(Kind.PERSON, name="y")
    rows = [
        Row(
            id=f"p{n}",
            fields={"phone": "+32 2 555 01 01"},
            their_id=their_id,
            company_their_id=ours,
            keeps_company=keeps,
        )
        for n, their_id in enumerate((placed, free))
    ]
    account.pipedrive.write(Kind.PERSON, rows)
    found = [str(one["org_id"]) for one in account.records(Kind.PERSON)]
    assert found == [theirs if keeps else ours, ours]
