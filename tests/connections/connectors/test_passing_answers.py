"""What passes by itself, by vendor and by answer: no record is ever rejected for it."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from email.utils import formatdate
from typing import Any

import pytest

from tests.connections.connectors.plain_http import PlainHttp
from tests.support.receivers import Receiver, Reply, receiver
from worker.connections.connectors.connector import Access, Connector, Kind, Row
from worker.connections.connectors.errors import Misconfigured, Throttled, Unavailable
from worker.connections.connectors.http_answers import retry_after_s
from worker.connections.connectors.hubspot.connector import HubSpot
from worker.connections.connectors.odoo.connector import Odoo
from worker.connections.connectors.pipedrive.connector import Pipedrive
from worker.connections.connectors.salesforce.connector import Salesforce
from worker.connections.connectors.webhook.connector import Webhook
from worker.infrastructure.clock import wall_s

_SECRETS = {"api_key": "k", "api_token": "t"}


class _Keys:
    """Nobody else holds a key here."""

    def held(self, *_: object) -> AbstractContextManager[Any]:
        return nullcontext()


def _wait(_: float) -> None:
    pass


def _sign(_: str, __: bytes) -> dict[str, str]:
    return {}


_MADE: dict[str, Callable[[PlainHttp, Access], Connector]] = {
    "hubspot": HubSpot,
    "odoo": Odoo,
    "pipedrive": lambda http, access: Pipedrive(http, access, _Keys(), _wait),
    "salesforce": lambda http, access: Salesforce(http, access, _wait),
    "webhook": lambda http, access: Webhook(http, access, _sign, _wait, "r"),
}


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


@pytest.fixture(params=list(_MADE))
def vendor(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def connector(server, vendor) -> Connector:
    access = Access(settings={"url": server.url("")}, secrets=_SECRETS)
    return _MADE[vendor](PlainHttp(), access)


def _answers(server, status: int, body: object, **headers: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    server.answer = lambda _: Reply(status, content, given)


_OF_EVERYBODY = (408, 423, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525)
_PAGE = b"<html>Attention required</html>"


@pytest.mark.parametrize("status", _OF_EVERYBODY)
def test_a_status_that_passes_is_no_no_whoever_answers(connector, server, status):
    _answers(server, status, _PAGE)
    with pytest.raises(Unavailable):
        connector.test()


@pytest.mark.parametrize("body", [_PAGE, b""])
def test_a_403_that_is_no_json_is_a_firewalls_and_parks_only_where_it_lasts(
    connector, server, body
):
    _answers(server, 403, body)
    with pytest.raises(Unavailable) as caught:
        connector.test()
    assert caught.value.parks_as == "forbidden"


@pytest.mark.parametrize("vendor", ["hubspot", "odoo", "pipedrive", "salesforce"])
@pytest.mark.parametrize("body", [_PAGE, b""])
def test_a_yes_that_is_no_json_is_no_answer(connector, server, body):
    _answers(server, 200, body)
    with pytest.raises(Unavailable):
        connector.test()


def test_a_pause_is_kept_to_in_fractions_and_up_to_a_date(connector, server):
    body = {"error": "too many", "message": "too many"}
    _answers(server, 429, body, Retry_After="1.5")
    with pytest.raises(Throttled) as caught:
        connector.test()
    assert caught.value.until_s == 1.5
    at = formatdate(wall_s() + 90, usegmt=True)
    _answers(server, 503, _PAGE, Retry_After=at)
    with pytest.raises(Unavailable) as passed:
        connector.test()
    assert passed.value.until_s == pytest.approx(90, abs=5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("1e9", 86_400.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Sat, 28 Nov 2026 20:00:30 GMT", 30.0),
        ("Sat, 28 Nov 2026 19:00:00 GMT", 0.0),
    ],
)
def test_how_long_to_wait_is_a_number_or_a_date(text, seconds):
    headers = {"retry-after": text, "date": "Sat, 28 Nov 2026 20:00:00 GMT"}
    assert retry_after_s(headers) == seconds


def _hubspot(category: str, **more: str) -> dict[str, str]:
    return {"status": "error", "message": "no", "category": category} | more


_REFUSALS: list[tuple[str, int, object]] = [
    ("hubspot", 400, _hubspot("TIMEOUT")),
    ("hubspot", 400, _hubspot("RATE_LIMITS")),
    ("hubspot", 409, _hubspot("TRANSIENT_ERROR")),
    ("hubspot", 400, _hubspot("VALIDATION_ERROR", errorType="RATE_LIMIT")),
    ("salesforce", 400, [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "locked"}]),
    ("salesforce", 400, [{"errorCode": "APEX_ERROR", "message": "UNABLE_TO_LOCK_ROW"}]),
    ("salesforce", 500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "x"}]),
    (
        "salesforce",
        400,
        [{"errorCode": "APEX_ERROR", "message": "Too many SOQL queries: 101"}],
    ),
    ("odoo", 409, {"name": "x", "message": "locked"}),
    ("odoo", 422, {"name": "UserError", "message": "could not serialize access"}),
    ("odoo", 500, {"name": "psycopg2.errors.LockNotAvailable", "message": "no"}),
    ("odoo", 500, {"name": "ValueError", "message": "deadlock detected"}),
    ("odoo", 422, {"name": "UserError", "message": "Record locked by another user"}),
    ("pipedrive", 400, {"success": False, "error": "Deadlock found"}),
    ("pipedrive", 423, {"success": False, "error": "Locked"}),
    ("pipedrive", 503, {"success": False, "error": "Scheduled maintenance"}),
]


@pytest.mark.parametrize(("vendor", "status", "body"), _REFUSALS)
def test_what_passes_is_no_no_in_whichever_refusal_it_stands(
    connector, server, status, body
):
    _answers(server, status, body)
    with pytest.raises(Unavailable):
        connector.test()
    with pytest.raises(Unavailable):
        connector.write(Kind.COMPANY, [Row(id="c1", fields={}, their_id="5")])


@pytest.mark.parametrize("vendor", ["pipedrive"])
def test_an_account_that_is_not_paid_for_waits_for_a_person(connector, server):
    _answers(server, 402, {"success": False, "error": "Company is not open"})
    with pytest.raises(Misconfigured):
        connector.test()
