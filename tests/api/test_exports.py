"""What an export looks like is asked for with the quote, and refused there."""

from typing import Any, get_args

import pytest

from tests.unit.opening import WRITERS
from worker.api import models
from worker.writers import FORMATS, PROFILES

_RECORDS = [
    {"company_id": "acme", "person_id": "ada", "note": "=1+1"},
    {"company_id": "acme", "person_id": "grace", "note": "0012"},
]


def _body(export: object, **more: Any) -> dict[str, Any]:
    return {
        "kind": "export",
        "license": "acme",
        "user": "ada",
        "records": _RECORDS,
        "export": export,
    } | more


@pytest.fixture
def acme(api):
    api.license()
    return api


def test_the_document_names_the_formats_and_profiles_that_there_are():
    export = models.Export.model_fields
    assert get_args(export["format"].annotation) == FORMATS
    profiles = get_args(export["profile"].annotation)[0]
    assert get_args(profiles) == PROFILES


@pytest.mark.parametrize("name", WRITERS)
def test_a_job_leaves_the_file_that_was_asked_for(acme, name):
    format_, _, profile = name.partition(" ")
    columns = [{"field": "note"}, {"field": "company_id", "heading": "Société"}]
    export = {"format": format_, "columns": columns}
    body = _body(export | ({"profile": profile} if profile else {}))
    job = acme.ended(acme.admin.post("/v1/jobs", json=body).json()["id"])
    assert job["file"]["name"] == f"{job['id']}.{format_}"
    data = acme.client(None).get(job["file"]["url"]).content
    marked = "'=1+1" if profile else "=1+1"
    assert WRITERS[name][1](data) == (
        ["note", "Société"],
        [[marked, "acme"], ["0012", "acme"]],
    )


@pytest.mark.parametrize(
    "export",
    [
        {"format": "pdf"},
        {"profile": "mac"},
        {"format": "xlsx", "profile": "excel"},
        {"columns": []},
        {"columns": [{"field": "email"}]},
        {"columns": [{"field": "note"}, {"field": "company_id", "heading": "note"}]},
        {"columns": [{"heading": "x"}]},
        {"columns": [{"field": "note", "heading": "a\nb"}]},
        {"columns": ["note"]},
        {"split_records": 0},
        {"colums": []},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/quotes", "/v1/jobs"])
def test_a_look_that_no_file_has_is_refused_at_the_quote(acme, export, path):
    answer = acme.admin.post(path, json=_body(export))
    assert answer.status_code == 422, answer.text
    assert any("export" in error["field"] for error in answer.json()["errors"])
    balance = acme.admin.get("/v1/licenses/acme/balance").json()
    assert (balance["available"], balance["reserved"]) == (500, 0)


def test_a_retry_looks_as_the_job_that_it_retries(acme):
    long = [*_RECORDS, {"company_id": "long", "note": "x" * 40_000}]
    body = _body({"format": "xlsx", "columns": [{"field": "note"}]}, records=long)
    job = acme.ended(acme.admin.post("/v1/jobs", json=body).json()["id"])
    assert (job["state"], job["progress"]["rejected"]) == ("partial", 1)
    (rejection,) = acme.admin.get(f"/v1/jobs/{job['id']}/rejections").json()["items"]
    assert (rejection["record"], rejection["field"]) == (3, "note")
    assert rejection["code"] == "value_not_representable"
    again = acme.admin.post(f"/v1/jobs/{job['id']}/retry", json={}).json()
    again = acme.ended(again["id"])
    assert (again["progress"]["rejected"], again["credits"]["settled"]) == (1, 0)
    assert again["file"]["name"].endswith(".xlsx")
