"""What an export looks like is asked for with the quote, and refused there."""

from typing import Any, get_args

import pytest

from tests.exports.opened_files import WRITERS
from worker.api import models
from worker.exports.writers.formats import FORMATS, NULLS, PROFILES

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
    assert get_args(get_args(export["nulls"].annotation)[0]) == NULLS


@pytest.mark.parametrize("name", WRITERS)
def test_a_job_leaves_the_file_that_was_asked_for(acme, name):
    format_, _, profile = name.partition(" ")
    columns = [{"field": "note"}, {"field": "company_id", "heading": "Société"}]
    export = {"format": format_, "columns": columns}
    body = _body(export | ({"profile": profile} if profile else {}))
    job = acme.ended(acme.admin.post("/v1/jobs", json=body).json()["id"])
    assert job["file"]["name"] == f"{job['id']}.{format_}"
    answer = acme.client(None).get(job["file"]["url"])
    data = answer.content
    assert answer.headers["Content-Type"] == WRITERS[name][0].media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
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
        {"format": "xlsx", "nulls": "null"},
        {"profile": "excel", "text_columns": ["vat"]},
        {"columns": []},
        {"columns": [{"field": "email"}]},
        {"columns": [{"field": "note"}], "retrieve": ["email"]},
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
    look = {name: value for name, value in export.items() if name != "retrieve"}
    asked = {"retrieve": export.get("retrieve", [])}
    answer = acme.admin.post(path, json=_body(look) | asked)
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


def _cancelled(acme) -> str:
    job_id = acme.admin.post("/v1/jobs", json=_body({"format": "xlsx"})).json()["id"]
    acme.admin.post(f"/v1/jobs/{job_id}/cancel")
    acme.ended(job_id)
    return f"/v1/jobs/{job_id}/retry"


def test_a_retry_may_say_how_its_file_looks(acme):
    options = {"columns": [{"field": "note"}], "skip_exported": True}
    acme.admin.put(f"{_TEMPLATES}/notes", json=options)
    look = {"template": "notes", "format": "csv", "profile": "excel_eu"}
    again = acme.admin.post(_cancelled(acme), json={"export": look})
    assert again.status_code == 202, again.text
    file = acme.ended(again.json()["id"])["file"]
    data = acme.client(None).get(file["url"]).content
    assert WRITERS["csv excel_eu"][1](data) == (["note"], [["'=1+1"], ["0012"]])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"export": {"columns": [{"field": "nope"}]}}, "export.columns"),
        ({"export": {"contacts_per_company": 9}}, "export.contacts_per_company"),
        ({"export": {"format": "csv", "profile": "mac"}}, "export.profile"),
        ({"push": {"mapping": {}}}, "push"),
    ],
    ids=str,
)
def test_a_retry_that_no_export_can_be_is_refused(acme, body, field):
    answer = acme.admin.post(_cancelled(acme), json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


_TEMPLATES = "/v1/licenses/acme/templates"


def test_a_quote_takes_from_a_template_what_it_does_not_say_itself(acme):
    options = {
        "format": "jsonl",
        "columns": [{"field": "note"}],
        "contacts_per_company": 1,
    }
    kept = acme.admin.put(f"{_TEMPLATES}/for sales", json=options)
    assert kept.status_code == 200
    assert (kept.json()["name"], kept.json()["format"]) == ("for sales", "jsonl")
    body = _body({"template": "for sales", "format": "csv"})
    quote = acme.admin.post("/v1/quotes", json=body).json()
    assert (quote["records"], quote["excluded"]) == (2, 1)
    # What the template says later changes no quote that was made with it.
    acme.admin.put(f"{_TEMPLATES}/for sales", json={"format": "xlsx"})
    job = acme.admin.post("/v1/jobs", json={"quote": quote["id"]}).json()
    file = acme.ended(job["id"])["file"]
    assert acme.client(None).get(file["url"]).text == "note\r\n=1+1\r\n"


def test_what_is_not_there_is_null_where_it_was_asked_for(acme):
    acme.admin.put(f"{_TEMPLATES}/n", json={"format": "parquet", "nulls": "null"})
    records = [{"company_id": "acme", "note": ""}, {"company_id": "b", "vat": "1"}]
    found = []
    for export in ({"template": "n"}, {"template": "n", "format": "jsonl"}):
        body = _body(export, records=records, retrieve=["phone"])
        job = acme.ended(acme.admin.post("/v1/jobs", json=body).json()["id"])
        data = acme.client(None).get(job["file"]["url"]).content
        found.append(WRITERS[job["file"]["name"].rpartition(".")[2]][1](data))
    names = ["company_id", "note", "vat", "phone"]
    rows = [["acme", None, None, None], ["b", None, "1", None]]
    assert found == [(names, rows)] * 2
    # What the template says of its format is nothing to another.
    body = _body({"template": "n", "format": "csv"})
    assert acme.admin.post("/v1/quotes", json=body).status_code == 201


def test_a_template_is_shown_replaced_and_taken_away(acme):
    url = f"{_TEMPLATES}/t"
    acme.admin.put(url, json={"profile": "excel", "skip_exported": True})
    shown = acme.admin.get(url).json()
    assert (shown["profile"], shown["skip_exported"]) == ("excel", True)
    acme.admin.put(url, json={"format": "parquet"})
    replaced = acme.admin.get(url).json()
    assert (replaced["format"], replaced["profile"]) == ("parquet", None)
    assert acme.admin.delete(url).json() == replaced
    for gone in (acme.admin.get(url), acme.admin.delete(url)):
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "options",
    [
        {"format": "xlsx", "profile": "excel"},
        {"template": "another"},
        {"contacts_per_company": -1},
        {"skip_exported": "yes"},
    ],
)
def test_a_template_that_no_export_can_follow_is_refused(acme, options):
    answer = acme.admin.put(f"{_TEMPLATES}/t", json=options)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert acme.admin.get(f"{_TEMPLATES}/t").status_code == 404


def test_a_quote_by_a_template_without_a_column_for_what_is_retrieved_is_refused(acme):
    acme.admin.put(f"{_TEMPLATES}/notes", json={"columns": [{"field": "note"}]})
    body = _body({"template": "notes"}) | {"retrieve": ["email"]}
    answer = acme.admin.post("/v1/quotes", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    (error,) = answer.json()["errors"]
    assert error["field"] == "export.columns"
    assert "no column for the e-mail" in error["message"]


def test_a_quote_by_a_template_that_is_not_there_is_refused(acme):
    answer = acme.admin.post("/v1/quotes", json=_body({"template": "nobodys"}))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_the_license_has_had_is_left_out(acme):
    first = acme.admin.post("/v1/jobs", json=_body({})).json()["id"]
    acme.ended(first)
    again = _body({"skip_exported": True})
    job = acme.ended(acme.admin.post("/v1/jobs", json=again).json()["id"])
    assert (job["progress"]["excluded"], job["credits"]["reserved"]) == (2, 0)
    manifest = acme.admin.get(f"/v1/jobs/{job['id']}/manifest").json()
    assert manifest["filters"]["skip_exported"] is True
    assert manifest["records"]["excluded"] == 2
    assert manifest["file"]["sha256"] == job["file"]["sha256"]


def test_a_job_without_a_file_has_no_manifest(acme):
    job = acme.admin.post("/v1/jobs", json=_body({})).json()["id"]
    assert acme.admin.get(f"/v1/jobs/{job}/manifest").status_code == 404
