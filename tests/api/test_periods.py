"""Periods that went by while nothing ran: each is closed once, and stays readable."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.api.conftest import Api, serving
from tests.support import job_runs

_BODY = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "records": [{"company": {"id": "c1"}, "person": {"id": "p1"}}],
    "retrieve": ["email", "phone"],
}


def _usage(api: Api, by: str, period: str | None = None) -> dict[str, tuple[int, int]]:
    query = {"by": by} | ({"period": period} if period else {})
    found = api.admin.get("/v1/licenses/acme/usage", params=query)
    assert found.status_code == 200, found.text
    items = found.json()["items"]
    return {item["key"]: (item["credits"], item["count"]) for item in items}


def _balance(api: Api) -> tuple[int, ...]:
    found = api.admin.get("/v1/licenses/acme/balance").json()
    names = ("granted", "reserved", "spent", "expired", "available")
    return tuple(found[name] for name in names)


@pytest.mark.parametrize("days", [38, 400])
def test_what_went_by_is_closed_once_and_the_rest_of_it_has_expired(
    api, database_url, tmp_path, days
):
    api.license()
    job_runs.know(api.deps, "p1")
    job = api.ended(api.admin.post("/v1/jobs", json=_BODY).json()["id"])
    (first,) = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    webhook = {
        "license": "acme",
        "events": ["period.closed"],
        "url": "http://127.0.0.1:9/",
    }
    made = api.admin.post("/v1/webhooks", json=webhook).json()["id"]
    with serving(database_url, tmp_path, {}, days=days) as later:
        with ThreadPoolExecutor(8) as threads:
            seen = set(threads.map(lambda _: _balance(later), range(16)))
        assert seen == {(500, 0, 0, 0, 500)}
        _reads_of_both(later, first["starts_at"], job)
        later.work()
        told = later.admin.get(f"/v1/webhooks/{made}/deliveries").json()["items"]
    assert [delivery["type"] for delivery in told] == ["period.closed"]
    with api.deps.database.transaction() as connection:
        closed = text("SELECT data FROM events WHERE type = 'period.closed'")
        (data,) = connection.execute(closed).scalars()
    assert (data["spent"], data["expired"]) == (4, 496)


def _reads_of_both(api: Api, past: str, job: dict[str, str]) -> None:
    now, before = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    assert (now["granted"], now["spent"], now["ended_at"]) == (500, 0, None)
    assert before["starts_at"] == past
    assert (before["spent"], before["expired"], before["available"]) == (4, 496, 0)
    assert before["ended_at"] is not None
    for by, then in (
        ("user", {"ada": (4, 3)}),
        ("job", {job["id"]: (4, 3)}),
        ("item", {"company": (1, 1), "email": (1, 1), "phone": (2, 1)}),
    ):
        assert _usage(api, by, past) == then
        assert _usage(api, by) == _usage(api, by, now["starts_at"]) == {}
    assert list(_usage(api, "day", past).values()) == [(4, 3)]
    assert _usage(api, "day") == {}
    api.ended(api.admin.post("/v1/jobs", json=_BODY).json()["id"])
    assert _usage(api, "item") == {"company": (1, 1), "email": (1, 1), "phone": (2, 1)}
    assert _usage(api, "item", past)["phone"] == (2, 1)


def test_before_its_start_a_license_shows_its_first_period_with_nothing_in_it(api):
    api.license(starts_at="2100-01-31T12:00:00Z")
    first = {"starts_at": "2100-01-31T12:00:00Z", "ends_at": "2100-02-28T12:00:00Z"}
    balance = api.admin.get("/v1/licenses/acme/balance").json()
    assert balance == {
        "period": first,
        "granted": 0,
        "reserved": 0,
        "spent": 0,
        "expired": 0,
        "available": 0,
    }
    for by in ("user", "job", "item", "day"):
        usage = api.admin.get(f"/v1/licenses/acme/usage?by={by}").json()
        assert usage == {"period": first, "items": []}
    assert api.admin.get("/v1/licenses/acme/periods").json()["items"] == []
