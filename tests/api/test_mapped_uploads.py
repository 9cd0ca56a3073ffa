"""Uploads whose columns are mapped: looked at, mapped again, kept as a template."""

import json
from typing import Any

import pytest

from storage.access_scopes import Scope

_CSV = {"Content-Type": "text/csv"}
_EXPORT = {"kind": "export", "license": "acme", "user": "u"}
_HEADER = "Record ID - Contact,First Name,Last Name,Email,Record ID - Company,Website"
_HUBSPOT = (
    f"{_HEADER}\n"
    "1,Ada,L,ada@acme.com,c1,acme.com\n"
    "2,Ben,M,ben@gmail.com,c2,https://www.brio.co.uk/x\n"
    "3,Cy,N,cy@acme.com,,\n"
)


def _inspected(api, content: str = _HUBSPOT, **headers: str) -> Any:
    return api.admin.post(
        "/v1/uploads?license=acme&inspect=true",
        content=content,
        headers={**_CSV, **headers},
    )


def _map(api, upload: str, **body: object) -> Any:
    return api.admin.put(f"/v1/uploads/{upload}/columns", json=body)


def _quote(api, upload: str) -> Any:
    return api.admin.post("/v1/quotes", json={**_EXPORT, "upload": upload})


def test_a_file_is_looked_at_then_mapped_until_a_quote_was_made_of_it(api):
    api.license()
    missing = api.admin.post(
        "/v1/uploads?license=acme", content=_HUBSPOT, headers=_CSV
    ).json()
    assert "with inspect=true" in missing["errors"][0]["message"]
    seen = _inspected(api)
    assert seen.status_code == 201
    body = seen.json()
    assert body["export"] == "HubSpot's export of contacts with their companies"
    assert [one["name"] for one in body["columns"]] == _HEADER.split(",")
    assert body["rows"][0] == ["1", "Ada", "L", "ada@acme.com", "c1", "acme.com"]
    assert body["proposal"]["company_id"] == "Record ID - Company"
    upload = body["id"]

    unmapped = _quote(api, upload)
    assert (unmapped.status_code, unmapped.json()["code"]) == (409, "wrong_state")
    assert f"PUT /v1/uploads/{upload}/columns" in unmapped.json()["detail"]

    refused = _map(api, upload, columns=body["proposal"])
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["line"] == 4
    problems = api.admin.get(f"/v1/uploads/{upload}/problems").json()
    assert (problems["total"], problems["refused"]) == (1, True)

    skipped = _map(
        api, upload, columns=body["proposal"], options={"skip_bad": True}
    ).json()
    assert (skipped["records"], skipped["problems_total"]) == (2, 1)
    derived = {"derive": "domain", "column": "Email"}
    columns = {**body["proposal"], "company_id": derived, "note": {"value": "x"}}
    again = _map(api, upload, columns=columns, options={"skip_bad": True}).json()
    # One has an address that is anybody's.
    assert (again["id"], again["records"], again["companies"]) == (upload, 2, 1)
    assert again["derived"]["companies"] == 2

    quote = _quote(api, upload).json()
    assert (quote["records"], quote["derived"]) == (2, again["derived"])
    assert quote["read"]["format"] == "csv"
    assert quote["problems_total"] == again["problems_total"] == 1
    settled = _map(api, upload, columns=columns)
    assert (settled.status_code, settled.json()["code"]) == (409, "wrong_state")
    assert _quote(api, upload).status_code == 201


def test_what_is_seen_is_answered_again_and_is_not_kept_with_the_answer(api):
    api.license()
    first = _inspected(api, **{"Idempotency-Key": "k"})
    assert _inspected(api, **{"Idempotency-Key": "k"}).json() == first.json()
    other = _inspected(api, "company_id\nc\n", **{"Idempotency-Key": "k"})
    assert other.json()["code"] == "idempotency_mismatch"
    with api.deps.database.transaction() as connection:
        driver = connection.exec_driver_sql
        assert driver("SELECT count(*) FROM uploads").scalar_one() == 1
        assert driver("SELECT answer FROM requests").scalar_one() is None


def test_a_template_is_kept_found_by_its_columns_and_applied_at_once(api):
    api.license()
    upload = _inspected(api).json()["id"]
    columns = {"company_id": "Record ID - Company", "title": None}
    mapped = _map(
        api, upload, columns=columns, options={"skip_bad": True}, template="crm"
    )
    assert mapped.status_code == 200
    header, *rows = _HUBSPOT.strip().split("\n")
    turned = "\n".join(
        ",".join(line.split(",")[::-1]) for line in [header.upper(), *rows]
    )
    seen = _inspected(api, turned).json()
    assert (seen["template"], seen["proposal"]) == ("crm", columns)

    path = "/v1/uploads?license=acme&template="
    made = api.admin.post(f"{path}crm", content=_HUBSPOT, headers=_CSV).json()
    assert (made["records"], made["problems_total"]) == (2, 1)
    unknown = api.admin.post(f"{path}none", content=_HUBSPOT, headers=_CSV)
    assert unknown.json()["code"] == "not_found"
    both = api.admin.post(f"{path}crm&inspect=true", content="x\n", headers=_CSV)
    assert both.json()["errors"][0]["field"] == "template"

    templates = "/v1/licenses/acme/upload-templates"
    own = {"columns": {"company_id": {"derive": "domain", "column": "Site"}}}
    put = api.admin.put(f"{templates}/site", json={**own, "headers": ["Site"]}).json()
    assert put["public_suffix_list"] is not None
    assert _inspected(api, "site\nacme.com\n").json()["template"] == "site"
    listed = api.admin.get(templates).json()
    assert [one["name"] for one in listed["items"]] == ["crm", "site"]
    assert api.admin.get(f"{templates}/site").json() == put
    assert api.admin.delete(f"{templates}/site").json() == put
    assert api.admin.get(f"{templates}/site").json()["code"] == "not_found"
    named = {"company_id": "Id"}
    for bad in (
        {"columns": {"company_id": {"value": "c"}}},
        {"columns": {"company_id": "a\0"}},
        {"columns": {"note": {"value": "a\0"}}},
        {"columns": named, "options": {"encoding": "\0"}},
        {"columns": named, "headers": ["a\0"]},
        {"columns": named, "headers": ["\ud800"]},
    ):
        refused = api.admin.put(f"{templates}/bad", content=json.dumps(bad))
        assert (refused.status_code, len(refused.json()["errors"])) == (422, 1), bad


@pytest.fixture
def settings() -> dict[str, object]:
    return {"problems_kept_max": 150}


def test_all_problems_can_be_had_by_pages_or_as_a_file_up_to_as_many_as_are_kept(api):
    api.license()
    rows = "\n".join(["company_id", "c", *["\x01"] * 160])
    path = "/v1/uploads?license=acme&skip_bad=true"
    upload = api.admin.post(path, content=rows, headers=_CSV).json()
    assert (len(upload["problems"]), upload["problems_total"]) == (100, 160)
    problems = f"/v1/uploads/{upload['id']}/problems"
    lines: list[int] = []
    body: dict[str, Any] = {"next": ""}
    while body["next"] is not None:
        asked = {"limit": 70} | ({"cursor": body["next"]} if body["next"] else {})
        body = api.admin.get(problems, params=asked).json()
        lines += [item["line"] for item in body["items"]]
    assert lines == list(range(3, 153))
    assert (body["total"], body["kept"], body["refused"]) == (160, 150, False)
    as_csv = api.admin.get(f"{problems}?format=csv")
    assert as_csv.text.splitlines()[1] == "3,company_id,contains a control character"
    assert len(as_csv.text.splitlines()) == 151
    clean = api.admin.post(path, content="company_id\nc\n", headers=_CSV).json()
    none = api.admin.get(f"/v1/uploads/{clean['id']}/problems").json()
    assert none == {
        "items": [],
        "next": None,
        "total": 0,
        "kept": 0,
        "refused": False,
    }


def test_a_view_and_a_record_take_a_derived_id_of_the_license_alone(api):
    api.license()
    api.license("other")
    upload = _inspected(api, "Site\nacme.com\n").json()["id"]
    columns = {"company_id": {"derive": "domain", "column": "Site"}}
    assert _map(api, upload, columns=columns).status_code == 200
    quote = _quote(api, upload).json()
    job = api.admin.post("/v1/jobs", json={"quote": quote["id"]}).json()["id"]
    api.ended(job)
    file = api.admin.get(f"/v1/jobs/{job}/file", follow_redirects=True).text
    company = file.splitlines()[1].split(",")[0]
    # What was exported comes in again, and is free.
    back = api.admin.post(
        "/v1/quotes", json={**_EXPORT, "records": [{"company_id": company}]}
    ).json()
    assert back["max_credits"] == 0
    for license_id, status in (("acme", 200), ("other", 422)):
        viewed = api.admin.post(
            f"/v1/licenses/{license_id}/views",
            json={"user": "u", "company_id": company},
        )
        assert viewed.status_code == status
        path = f"/v1/uploads?license={license_id}"
        again = api.admin.post(path, content=file, headers=_CSV)
        assert again.status_code == (201 if status == 200 else 422)


def test_a_bound_key_maps_its_own_uploads_alone(api):
    api.license()
    api.license("ours")
    theirs = _inspected(api).json()["id"]
    bound = api.key(Scope.PRODUCER, "ours")
    body = {"columns": {"company_id": "Record ID - Company"}}
    for answer in (
        bound.put(f"/v1/uploads/{theirs}/columns", json=body),
        bound.get(f"/v1/uploads/{theirs}/problems"),
        bound.get("/v1/licenses/acme/upload-templates"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
