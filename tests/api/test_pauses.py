"""Pauses over HTTP: who may pause what, and what is answered."""

import pytest
from sqlalchemy import text

from storage.access_scopes import Scope

_WHY = {"reason": "they asked for it"}


@pytest.fixture
def crm(api) -> str:
    """A connection of acme, beside a license of another."""
    api.license()
    api.license("other")
    with api.deps.database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO connections (id, license_id, connector, name, settings,
                                         secrets)
                VALUES ('con_1', 'acme', 'webhook', 'Ours', '{}', '')""")
        )
    return "con_1"


def test_a_license_is_paused_and_resumed(api, crm):
    operator = api.key(Scope.OPERATOR)
    path = "/v1/pauses/license/acme"
    paused = operator.put(path, json=_WHY).json()
    assert paused["paused_at"] is not None
    assert paused | {"paused_at": None} == {
        "scope": "license",
        "subject": "acme",
        "paused": True,
        "reason": "they asked for it",
        "paused_by": "a test",
        "paused_at": None,
    }
    again = operator.put(path, json={"reason": "another"})
    assert (again.status_code, again.json()) == (200, paused)
    body = {
        "kind": "export",
        "license": "acme",
        "user": "ada",
        "records": [{"company": {"id": "c1"}, "person": None}],
    }
    job = api.admin.post("/v1/jobs", json=body).json()
    waiting = {"reason": "license_paused", "until": None}
    assert (job["state"], job["waiting"]) == ("queued", waiting)
    for _ in range(2):
        answer = operator.delete(path)
        assert (answer.status_code, answer.json()["paused"]) == (200, False)
    assert api.admin.get(f"/v1/jobs/{job['id']}").json()["waiting"] is None
    assert api.ended(job["id"])["state"] == "succeeded"


def test_pauses_are_listed_page_by_page(api, crm):
    for path in ("everything", "license/acme", f"connection/{crm}", "provider/hunter"):
        assert api.admin.put(f"/v1/pauses/{path}", json=_WHY).status_code == 200
    listed: list[tuple[str, str | None]] = []
    cursor = None
    while True:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = api.admin.get("/v1/pauses", params=query).json()
        listed += [(one["scope"], one["subject"]) for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert listed == [
        ("connection", crm),
        ("everything", None),
        ("license", "acme"),
        ("provider", "hunter"),
    ]
    wrong = api.admin.get("/v1/pauses", params={"cursor": "bm9uZQ"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")


def test_a_bound_key_steers_and_sees_its_license_alone(api, crm):
    bound, stranger = api.key(Scope.OPERATOR, "acme"), api.key(Scope.OPERATOR, "other")
    for path in ("license/acme", f"connection/{crm}"):
        assert bound.put(f"/v1/pauses/{path}", json=_WHY).status_code == 200
        assert stranger.put(f"/v1/pauses/{path}", json=_WHY).status_code == 404
        assert stranger.delete(f"/v1/pauses/{path}").status_code == 404
    for path in ("everything", "provider/hunter"):
        assert bound.put(f"/v1/pauses/{path}", json=_WHY).status_code == 403
        assert api.admin.put(f"/v1/pauses/{path}", json=_WHY).status_code == 200
        assert bound.delete(f"/v1/pauses/{path}").status_code == 403
    seen = [one["scope"] for one in bound.get("/v1/pauses").json()["items"]]
    assert seen == ["connection", "license"]
    assert stranger.get("/v1/pauses").json()["items"] == []
    assert len(api.admin.get("/v1/pauses").json()["items"]) == 4


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("license/nobody", _WHY, 404),
        ("connection/nothing", _WHY, 404),
        ("provider/nobody", _WHY, 404),
        ("user/ada", _WHY, 404),
        ("everything", {}, 422),
        ("everything", {"reason": ""}, 422),
        ("everything", {"reason": " "}, 422),
        ("everything", _WHY | {"until": "tomorrow"}, 422),
    ],
)
def test_what_cannot_be_paused_is_refused_and_nothing_is(api, crm, path, body, status):
    answer = api.admin.put(f"/v1/pauses/{path}", json=body)
    assert answer.status_code == status
    assert api.admin.get("/v1/pauses").json() == {"items": [], "next": None}
