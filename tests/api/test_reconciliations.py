"""Reconciliations over HTTP, in the console and in the metrics."""

from typing import Any

import pytest

from storage.access_scopes import Scope
from tests.support.metrics import samples
from worker.finance.reconciliation.reconciler import Reconciler


@pytest.fixture
def job(api) -> str:
    api.license("acme")
    body = {
        "kind": "export",
        "license": "acme",
        "user": "u",
        "records": [{"company": {"id": "c"}, "person": None}],
    }
    job_id: str = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)
    return job_id


def _asked(client, **body) -> dict[str, Any]:
    asked = client.post("/v1/reconciliations", json={"period": "open"} | body)
    assert asked.status_code == 202
    answer: dict[str, Any] = asked.json()
    return answer


def test_it_is_queued_run_and_then_says_what_it_found(api, job):
    asked = _asked(api.key(Scope.FINANCE))
    assert asked["state"] == "queued"
    Reconciler(api.deps).run()
    told = api.admin.get(f"/v1/reconciliations/{asked['id']}").json()
    assert (told["state"], told["differences"], told["next"]) == ("done", [], None)
    assert told["charges"] == told["recomputed"] == 1
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET file_bytes = file_bytes + 1")
        connection.exec_driver_sql("UPDATE jobs SET user_id = 'v'")
    again = _asked(api.admin)
    Reconciler(api.deps).run()
    path = f"/v1/reconciliations/{again['id']}?limit=1"
    page = api.admin.get(path).json()
    found = page["differences"]
    while page["next"]:
        page = api.admin.get(f"{path}&cursor={page['next']}").json()
        found += page["differences"]
    assert len(found) == page["differences_total"] > 1
    assert {"jobs.file_bytes", "jobs.user_id"} <= {one["where"] for one in found}
    assert all(one["job"] == job for one in found)
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET user_id = 'u'")


def test_the_same_request_again_asks_for_no_other(api, job):
    headers = {"Idempotency-Key": "once"}
    (period,) = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    body = {"period": period["starts_at"][:7], "license": "acme"}
    answers = [
        api.admin.post("/v1/reconciliations", json=body, headers=headers).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert len(api.admin.get("/v1/reconciliations").json()["items"]) == 1


@pytest.mark.parametrize("period", ["", "yesterday", "2026-13", "2026-11-01"])
def test_what_names_no_period_is_refused(api, period):
    asked = api.admin.post("/v1/reconciliations", json={"period": period})
    assert asked.status_code == 422


def test_where_no_period_starts_then_nothing_is_found_to_be_right(api, job):
    (period,) = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    api.license("blix", starts_at="2001-05-07T00:00:00Z", payment_term="yearly")
    for asked in (
        {"period": "1999-01"},
        {"period": period["starts_at"][:7].replace("20", "19", 1)},
        {"period": period["starts_at"], "license": "blix"},
    ):
        refused = api.admin.post("/v1/reconciliations", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert api.admin.get("/v1/reconciliations").json()["items"] == []


def test_a_bound_key_asks_for_its_own_license_and_sees_no_other(api, job):
    bound = api.key(Scope.FINANCE, "acme")
    assert _asked(bound)["license"] == "acme"
    of_all = _asked(api.admin)
    assert bound.get(f"/v1/reconciliations/{of_all['id']}").status_code == 404
    listed = bound.get("/v1/reconciliations").json()["items"]
    assert [one["license"] for one in listed] == ["acme"]


def test_the_last_verdict_stands_in_the_metrics(api, job):
    assert ("reconciliation_differences",) not in samples(api.client(None))
    _asked(api.admin)
    Reconciler(api.deps).run()
    told = samples(api.client(None))
    assert told["reconciliation_differences",] == 0
    assert told["reconciliation_charges",] == 1
    assert told["reconciliation_not_recomputable",] == 0
    assert 0 <= told["reconciliation_age_seconds",] < 600


def test_a_vendors_usage_file_is_matched_as_it_is_sent(api, job):
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO provider_costs (job_id, provider, answers, paid, paid_at)"
            " VALUES (%s, 'hunter', 2, 1.50, now())",
            (job,),
        )
    client, path = api.key(Scope.FINANCE), "/v1/reconciliations/usage"
    csv = {"Content-Type": "text/csv; charset=utf-8"}

    def asked(body: str, **query: str):
        return client.post(path, params=query, content=body, headers=csv)

    named = {"provider": "hunter", "id": "job", "amount": "paid"}
    told = asked(f"job,paid\n{job},1\n{job},0.5\nother,1\n", **named)
    assert (told.status_code, told.json()) == (
        200,
        {
            "since": None,
            "before": None,
            "counts": {
                "matched": 1,
                "ours_only": 0,
                "theirs_only": 1,
                "different_amount": 0,
            },
            "matches": [
                {"state": "theirs_only", "id": "other", "ours": None, "theirs": "1"},
                {"state": "matched", "id": job, "ours": "1.5", "theirs": "1.5"},
            ],
            "matches_total": 2,
        },
    )
    wrong = asked("job,paid\na,b\n", **named)
    assert (wrong.status_code, wrong.json()["errors"]) == (
        422,
        [{"line": 2, "field": "paid", "message": "is no number"}],
    )
    for status, query in (
        (422, {"provider": "hunter"}),
        (422, {"provider": "hunter", "connection": "c", "id": "job"}),
        (422, {"provider": "hunter", "id": "job", "by": "record"}),
        (404, {"provider": "huntr", "id": "job"}),
        (404, {"connection": "c", "id": "job"}),
    ):
        assert asked("job\na\n", **query).status_code == status, query
    assert client.post(path, params=named, json={}).status_code == 422
