"""Pipedrive's own client does its ordinary calls against the sandbox.

It is a package of npm, and Node.js is nothing that a checkout has. So the requests are
those that its version 33.7.0 sent for these calls, and what it needs of each answer are
the fields that its models do not mark as optional.
"""

import httpx
import pytest

CALLED = {"x-api-token": "token", "accept": "application/json, text/plain, */*"}


@pytest.fixture
def account(sandbox):
    url = f"{sandbox.url}/pipedrive"
    with httpx.Client(base_url=url, headers=CALLED) as client:
        yield client


def _data(answer: httpx.Response, status: int = 200):
    body = answer.json()
    assert (answer.status_code, body["success"]) == (status, True), body
    return body["data"]


def _persons(account, query: str = "") -> list[str]:
    return [one["name"] for one in _data(account.get(f"/api/v2/persons{query}"))]


@pytest.fixture
def people(account):
    """Two organizations and three persons, the ids by name."""
    ids = {}
    for name in ("Engine", "Loom"):
        made = account.post("/api/v2/organizations", json={"name": name})
        ids[name] = _data(made, 201)["id"]
    for name, employer in (("Ada", "Engine"), ("Bob", "Loom"), ("Cleo", "Engine")):
        address = f"{name.lower()}@{employer.lower()}.example"
        body = {
            "name": f"{name} Lovelace",
            "org_id": ids[employer],
            "emails": [{"value": address, "primary": True, "label": "work"}],
            "phones": [{"value": "+1 555", "primary": True, "label": "work"}],
        }
        ids[name] = _data(account.post("/api/v2/persons", json=body), 201)["id"]
    return ids


@pytest.mark.parametrize("type_", ["persons", "organizations"])
def test_a_record_is_added_read_changed_and_deleted(account, type_):
    path = f"/api/v2/{type_}"
    made = _data(account.post(path, json={"name": "Ada"}), 201)
    assert _data(account.get(f"{path}/{made['id']}"))["name"] == "Ada"
    changed = account.patch(f"{path}/{made['id']}", json={"name": "Ada King"})
    assert _data(changed)["name"] == "Ada King"
    assert _data(account.delete(f"{path}/{made['id']}")) == {"id": made["id"]}
    assert _data(account.get(path)) == []
    assert account.delete(f"{path}/4711").status_code == 404


def test_all_records_are_listed_page_by_page_and_filtered(account, people):
    every = ["Ada Lovelace", "Bob Lovelace", "Cleo Lovelace"]
    assert _persons(account) == every
    first = account.get("/api/v2/persons?limit=2")
    cursor = first.json()["additional_data"]["next_cursor"]
    assert len(_data(first)) == 2
    assert _persons(account, f"?limit=2&cursor={cursor}") == every[2:]
    assert _persons(account, f"?ids={people['Bob']}") == every[1:2]
    assert _persons(account, f"?org_id={people['Engine']}") == [every[0], every[2]]
    assert _persons(account, "?owner_id=11") == every
    assert _persons(account, "?owner_id=12") == []
    assert len(_data(account.get("/api/v2/organizations"))) == 2


def test_records_are_searched_for_in_all_fields_and_exactly_in_one(account, people):
    def found(query: str, type_: str = "persons") -> list[str]:
        answer = account.get(f"/api/v2/{type_}/search?{query}")
        return [one["item"]["name"] for one in _data(answer)["items"]]

    assert len(found("term=LOVE")) == 3
    assert found("term=ada%40engine.example&fields=email&exact_match=true") == [
        "Ada Lovelace"
    ]
    assert found("term=ada&fields=email&exact_match=true") == []
    assert found(f"term=lovelace&organization_id={people['Loom']}") == ["Bob Lovelace"]
    assert found("term=eng", "organizations") == ["Engine"]
    assert account.get("/api/v2/persons/search?term=a").status_code == 400


def test_fields_have_what_the_client_reads_of_them(account):
    for name in ("personFields", "organizationFields"):
        path = f"/api/v2/{name}"
        for field in _data(account.get(path)):
            assert {
                *("field_name", "field_code", "field_type"),
                *("is_custom_field", "is_optional_response_field"),
            } <= field.keys()
        assert _data(account.get(f"{path}/name"))["field_code"] == "name"
        assert account.get(f"{path}/nothing").status_code == 404
        wanted = {
            "field_name": "Size",
            "field_type": "enum",
            "options": [{"label": "S"}, {"label": "L"}],
        }
        made = _data(account.post(path, json=wanted))
        assert [one["label"] for one in made["options"]] == ["S", "L"]
        first = account.get(f"{path}?limit=1")
        assert len(_data(first)) == 1
        assert first.json()["additional_data"]["next_cursor"] == "1"


def test_users_are_listed_and_the_current_one_is_told(account):
    assert _data(account.get("/v1/users/me"))["id"] == 11
    assert len(_data(account.get("/v1/users"))) == 2


def test_what_is_not_spoken_is_an_error_and_never_an_empty_list(account):
    for query in (
        "persons?filter_id=7",
        "persons?sort_by=update_time&sort_direction=desc",
        "persons?updated_since=2026-01-01T00:00:00Z",
        "persons?include_fields=notes_count",
        "persons?include_labels=true",
        "persons/search?term=ada&include_fields=person.picture",
        "persons/search?term=ada&fields=nickname",
        "organizations?org_id=1",
        "organizations/search?term=engine&organization_id=1",
        "persons/1/followers",
        "personFields?include_fields=ui_visibility",
        "deals",
    ):
        answer = account.get(f"/api/v2/{query}")
        body = answer.json()
        assert (answer.status_code, body["success"]) == (501, False), query
        assert set(body) == {"success", "error", "error_info", "code"}
