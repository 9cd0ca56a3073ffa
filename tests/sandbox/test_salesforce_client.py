"""simple-salesforce does its ordinary calls against the sandbox."""

from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceError,
    SalesforceMalformedRequest,
    SalesforceOperationError,
    SalesforceResourceNotFound,
)

from worker.sandbox.salesforce.bulk_api import Ingest

KEY = "Holdfast_Id__c"


class _Plain(HTTPAdapter):
    """Speaks plain HTTP where the client, which knows no other, asks for TLS."""

    def send(self, request, *how, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *how, **options)


@pytest.fixture
def org(sandbox):
    with requests.Session() as session:
        session.mount("https://", _Plain())
        instance = f"{sandbox.url.removeprefix('http://')}/salesforce"
        yield Salesforce(instance=instance, session_id="token", session=session)


def _codes(refused: pytest.ExceptionInfo[SalesforceError]) -> list[str]:
    content: Any = refused.value.content
    return [one["errorCode"] for one in content]


def test_types_are_described(org):
    assert [one["name"] for one in org.describe()["sobjects"]] == ["Account", "Contact"]
    assert org.Contact.metadata()["objectDescribe"]["name"] == "Contact"
    described = org.Contact.describe()
    assert "LastName" in {one["name"] for one in described["fields"]}
    assert org.limits()["DailyApiRequests"]["Remaining"] > 0


@pytest.mark.parametrize(
    ("type_", "values", "change"),
    [
        ("Contact", {"LastName": "Lovelace", "Phone": "+1 555"}, {"Title": "VP"}),
        ("Account", {"Name": "Engine"}, {"Website": "engine.example"}),
    ],
)
def test_a_record_is_created_read_changed_and_deleted(org, type_, values, change):
    of_type = getattr(org, type_)
    made = of_type.create(values)
    assert (made["success"], made["errors"]) == (True, [])
    assert values.items() <= of_type.get(made["id"]).items()
    assert of_type.update(made["id"], change) == 204
    assert change.items() <= of_type.get(made["id"]).items()
    assert of_type.upsert(f"{KEY}/k1", values | {"Size__c": 5}) == 201
    assert of_type.upsert(f"{KEY}/k1", {"Size__c": 6}) == 200
    assert of_type.get_by_custom_id(KEY, "k1")["Size__c"] == 6
    assert of_type.delete(made["id"]) == 204
    for call in (of_type.get, of_type.delete):
        with pytest.raises(SalesforceResourceNotFound):
            call(made["id"])
    with pytest.raises(SalesforceMalformedRequest) as refused:
        of_type.create({"Nothing__c": 1})
    assert _codes(refused) == ["INVALID_FIELD"]


def test_records_are_found_by_query_page_by_page(org):
    rows = [{"LastName": f"L{n}", KEY: f"k{n}"} for n in range(401)]
    body = [{"attributes": {"type": "Contact"}, **row} for row in rows]
    for start in range(0, 401, 200):
        records = {"allOrNone": False, "records": body[start : start + 200]}
        made = org.restful("composite/sobjects", method="POST", json=records)
        assert all(one["success"] for one in made)
    everybody = "SELECT Id, LastName FROM Contact"
    first, other = org.query(everybody), org.query(everybody)
    assert (first["totalSize"], first["done"], len(first["records"])) == (
        401,
        False,
        200,
    )
    second = org.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    again = org.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert second["records"] == again["records"]
    assert (
        second["records"]
        == org.query_more(other["nextRecordsUrl"].rsplit("/", 1)[1])["records"]
    )
    names = [one["LastName"] for one in org.query_all(everybody)["records"]]
    assert names == [row["LastName"] for row in rows]
    (one,) = org.query("SELECT Id FROM Contact WHERE LastName = 'L7' LIMIT 5")[
        "records"
    ]
    org.Contact.delete(one["Id"])
    gone = "SELECT Id FROM Contact WHERE LastName = 'L7'"
    assert org.query(gone)["records"] == []
    assert org.query(gone, include_deleted=True)["totalSize"] == 1


def test_collections_take_accounts_too(org):
    def send(method, rows, path="composite/sobjects"):
        records = [{"attributes": {"type": "Account"}, **row} for row in rows]
        return org.restful(path, method=method, json={"records": records})

    made = send("POST", [{"Name": "Engine"}, {"Website": "x.example"}])
    assert [one["success"] for one in made] == [True, False]
    assert made[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    (id_,) = (one["id"] for one in made if one["success"])
    assert send("PATCH", [{"Id": id_, "Website": "y.example"}])[0]["success"]
    (new,) = send(
        "PATCH", [{"Name": "B", KEY: "b"}], f"composite/sobjects/Account/{KEY}"
    )
    assert new["created"]
    path, ids = "composite/sobjects", {"ids": f"{id_},001000000000000AAA"}
    shown = org.restful(f"{path}/Account", params=ids | {"fields": "Website"})
    assert (shown[0]["Website"], shown[1]) == ("y.example", None)
    gone = org.restful(path, params=ids, method="DELETE")
    assert [one["success"] for one in gone] == [True, False]


def test_bulk_jobs_say_how_many_rows_they_took(sandbox, org):
    sandbox.behave("salesforce", finish_ms=0)
    rows = [{"LastName": f"L{n}", KEY: f"k{n}"} for n in range(3)]
    (job,) = org.bulk2.Contact.insert(records=rows, wait=0)
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (3, 0)
    (job,) = org.bulk2.Contact.insert(records=rows[:1], wait=0)
    assert job["numberRecordsFailed"] == 1
    assert "DUPLICATE_VALUE" in org.bulk2.Contact.get_failed_records(job["job_id"])
    changed = [*({**row, "Title": "VP"} for row in rows), {"LastName": "N", KEY: "n"}]
    (job,) = org.bulk2.Contact.upsert(
        records=[{"Title": "", **row} for row in changed],
        external_id_field=KEY,
        wait=0,
    )
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (4, 0)
    assert org.bulk2.Contact.get_successful_records(job["job_id"]).count("\n") == 5
    assert org.bulk2.Contact.get_unprocessed_records(job["job_id"]) is not None
    assert org.query("SELECT Id FROM Contact WHERE Title = 'VP'")["totalSize"] == 3


def test_a_job_that_the_sandbox_fails_at_has_failed_and_is_not_waited_for(
    sandbox, org, monkeypatch
):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    sandbox.behave("salesforce", finish_ms=0)
    monkeypatch.setattr(Ingest, "_work_off", fail)
    with pytest.raises(SalesforceOperationError, match="InternalServerError"):
        org.bulk2.Contact.insert(records=[{"LastName": "L"}], wait=0)


def test_what_is_not_spoken_is_an_error_that_the_client_understands(org):
    for call in (
        org.Lead.describe,
        lambda: org.query("SELECT Id FROM Lead"),
        lambda: org.query("SELECT Id FROM Contact ORDER BY Id"),
        lambda: org.query("SELECT Account.Name FROM Contact"),
        lambda: org.query("SELECT Id FROM Contact WHERE LastName LIKE 'L%'"),
        lambda: org.search("FIND {Ada}"),
        lambda: org.restful(
            "composite/sobjects", method="POST", json={"allOrNone": True, "records": []}
        ),
        lambda: org.restful("composite", method="POST", json={}),
        lambda: org.bulk2.Contact.delete(records=[{"Id": "003000000000001AAA"}]),
        lambda: org.bulk.Contact.insert([{"LastName": "L"}]),
    ):
        with pytest.raises(SalesforceError) as refused:
            call()
        assert refused.value.status == 501, refused.value
        assert _codes(refused) == ["NOT_IMPLEMENTED"]
    with pytest.raises(SalesforceMalformedRequest) as unknown:
        org.query("SELECT Id FROM Contact WHERE Nothing__c = 'x'")
    assert _codes(unknown) == ["INVALID_FIELD"]
