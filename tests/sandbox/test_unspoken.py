"""What a vendor does not speak here, and what goes wrong, it says in its own words."""

import logging
from contextlib import closing

import httpx
import pytest

from tests.support.sandboxes import Sandbox
from worker.sandbox import hunter
from worker.sandbox.hubspot import portal as hubspot
from worker.sandbox.pipedrive import account as pipedrive
from worker.sandbox.salesforce.org import Org

BEARER = {"Authorization": "Bearer token", "X-API-KEY": "k", "X-Api-Key": "k"}
_V = "services/data/v62.0"


@pytest.fixture(scope="module")
def vendors():
    """A client of them all: what is not spoken leaves nothing behind."""
    with (
        closing(Sandbox()) as box,
        httpx.Client(base_url=box.url, headers=BEARER) as client,
    ):
        yield client


def _code(vendor: str, body):
    """The vendor's own code, where its errors have it."""
    match vendor, body:
        case "hubspot", {"status": "error", "message": str(), "correlationId": str()}:
            return body["category"].lower()
        case "salesforce", [{"errorCode": code, "message": str(), "fields": []}]:
            return code.lower()
        case "pipedrive", {"success": False, "error": str(), "code": code}:
            return code
        case "hunter", {"errors": [{"id": code, "code": int(), "details": str()}]}:
            return code
        case "people_data_labs", {"status": int(), "error": {"type": code}}:
            return code
        case "fullenrich", {"code": code, "message": str()}:
            return code.removeprefix("error.")
    raise AssertionError(body)


_ADA = {"first_name": "Ada", "last_name": "Byron", "company": "x.example"}
_BULK = "v5/person/bulk"
_ENRICH = "api/v2/contact/enrich/bulk"
_CONTACT = {
    "first_name": "Ada",
    "last_name": "Byron",
    "domain": "x.example",
    "enrich_fields": ["contact.work_emails"],
}


@pytest.mark.parametrize(
    ("vendor", "method", "path", "body"),
    [
        *(
            (vendor, method, "no/such/path", None)
            for vendor in (
                *("hubspot", "salesforce", "pipedrive"),
                *("hunter", "people_data_labs", "fullenrich"),
            )
            for method in ("GET", "POST")
        ),
        ("hubspot", "PUT", "crm/v3/objects/contacts", {}),
        ("hubspot", "GET", "crm/v3/objects/deals", None),
        ("hubspot", "GET", "crm/v3/owners?archived=true", None),
        ("hubspot", "POST", "crm/v3/lists", {"name": "n", "filterBranch": {"f": 1}}),
        ("salesforce", "DELETE", f"{_V}/query", None),
        ("salesforce", "GET", f"{_V}/sobjects/Contact/003?more=1", None),
        ("salesforce", "POST", f"{_V}/jobs/ingest", {"operation": "hardDelete"}),
        ("salesforce", "POST", f"{_V}/jobs/ingest", {"columnDelimiter": "TAB"}),
        ("salesforce", "GET", "services/async/62.0/job", None),
        ("pipedrive", "PUT", "api/v2/persons/1", {}),
        ("hunter", "GET", "v2/email-finder?full_name=Ada+Byron&domain=x", None),
        ("hunter", "GET", "v2/domain-search?domain=x.example", None),
        (
            *("people_data_labs", "POST", _BULK),
            {"requests": [{"params": _ADA}], "required": "emails"},
        ),
        (
            *("people_data_labs", "POST", _BULK),
            {"requests": [{"params": {**_ADA, "min_likelihood": 6}}]},
        ),
        (
            *("people_data_labs", "POST", _BULK),
            {"requests": [{"params": {**_ADA, "required": "emails AND phones"}}]},
        ),
        (
            *("fullenrich", "POST", _ENRICH),
            {"name": "n", "data": [{**_CONTACT, "linkedin_url": "l.example/ada"}]},
        ),
        (
            *("fullenrich", "POST", _ENRICH),
            {
                "name": "n",
                "data": [{**_CONTACT, "enrich_fields": ["contact.personal_emails"]}],
            },
        ),
        ("fullenrich", "GET", f"{_ENRICH}/1?forceResults=true", None),
    ],
)
def test_what_is_not_spoken_is_501_in_the_vendors_own_shape(
    vendors, vendor, method, path, body
):
    answer = vendors.request(method, f"/{vendor}/{path}", json=body)
    assert answer.status_code == 501, answer.text
    assert _code(vendor, answer.json()) == "not_implemented"


def test_an_endpoint_of_ones_own_says_so_in_plain_words(vendors):
    assert vendors.get("/webhook").status_code == 501


@pytest.mark.parametrize(
    ("vendor", "path", "broken"),
    [
        ("hubspot", "crm/v3/objects/contacts", (hubspot.Objects, "alive")),
        ("salesforce", f"{_V}/sobjects/Contact/003", (Org, "get")),
        ("pipedrive", "api/v2/persons", (pipedrive.Objects, "visible")),
        ("hunter", "v2/email-verifier", (hunter, "_verified")),
    ],
)
def test_what_nobody_foresaw_is_500_in_the_vendors_own_shape_and_is_logged(
    vendors, vendor, path, broken, monkeypatch, caplog
):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    made, name = broken
    monkeypatch.setattr(made, name, fail)
    answer = vendors.get(f"/{vendor}/{path}")
    assert (answer.status_code, "Traceback" in answer.text) == (500, False)
    assert _code(vendor, answer.json()) == "internal_error"
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert f"GET /{vendor}/{path}" in record.message
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        ("hubspot", "crm/v3/objects/contacts"),
        ("salesforce", f"{_V}/sobjects/Contact"),
        ("pipedrive", "api/v2/persons"),
        ("people_data_labs", _BULK),
        ("fullenrich", _ENRICH),
    ],
)
def test_a_body_that_is_no_json_is_the_requests_fault(vendors, vendor, path):
    answer = vendors.post(f"/{vendor}/{path}", content="{")
    assert answer.status_code == 400
    assert _code(vendor, answer.json())
