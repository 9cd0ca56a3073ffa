"""Actions over HTTP: who acted, from where and why; who may see it."""

import pytest

from storage.access_scopes import Scope
from storage.jobs import heartbeats
from tests.support import job_runs
from worker.api import models
from worker.jobs.process_report import about

_RECORDS = [{"company": {"id": f"c{number}"}} for number in range(4)]


def _submitted(api, license_id: str = "acme") -> str:
    body = {"kind": "export", "license": license_id, "user": "u", "records": _RECORDS}
    return str(api.admin.post("/v1/jobs", json=body).json()["id"])


@pytest.fixture
def acme(api):
    api.license()
    return api


@pytest.mark.parametrize("body", [{"reason": "asked to"}, {}, None])
def test_a_verb_takes_a_reason_where_one_is_sent(acme, body):
    job_id = _submitted(acme)
    operator = acme.key(Scope.OPERATOR)
    for verb in ("pause", "resume", "cancel"):
        answer = operator.post(f"/v1/jobs/{job_id}/{verb}", json=body)
        assert answer.status_code == 202, answer.text
    acme.work()
    assert operator.post(f"/v1/jobs/{job_id}/retry", json=body).status_code == 202
    page = operator.get("/v1/actions", params={"job": job_id}).json()
    assert [action["verb"] for action in page["items"]] == [
        *("retry", "cancel", "resume", "pause")
    ]
    for action in page["items"]:
        assert (action["by"], action["origin"]) == ("a test", "127.0.0.1")
        assert action["key"] is not None
        assert action["reason"] == (body or {}).get("reason")
        assert models.Action.model_validate(action).model_dump(mode="json") == action


@pytest.mark.parametrize(
    "body", [{"reason": ""}, {"reason": "x" * 501}, {"reason": "a\nb"}, {"why": "x"}]
)
def test_a_reason_that_is_none_is_refused_and_moves_nothing(acme, body):
    job_id = _submitted(acme)
    for verb in ("pause", "cancel", "resume", "give-up", "retry"):
        answer = acme.admin.post(f"/v1/jobs/{job_id}/{verb}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert acme.admin.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    assert acme.admin.get("/v1/actions").json()["items"] == []


def test_a_bound_key_sees_the_actions_of_its_license_alone(acme):
    acme.license("beta")
    for license_id in ("acme", "beta", "acme"):
        acme.admin.post(f"/v1/jobs/{_submitted(acme, license_id)}/pause")
    bound = acme.key(Scope.OPERATOR, "acme")
    items = bound.get("/v1/actions").json()["items"]
    assert [action["license"] for action in items] == ["acme", "acme"]
    first = bound.get("/v1/actions", params={"limit": 1}).json()
    second = bound.get("/v1/actions", params={"limit": 1, "cursor": first["next"]})
    assert first["items"] + second.json()["items"] == items
    assert second.json()["next"] is None
    beta = acme.admin.get("/v1/actions?license=beta").json()["items"]
    assert bound.get("/v1/actions", params={"job": beta[0]["target"]}).json() == {
        "items": [],
        "next": None,
    }
    assert bound.get("/v1/actions?license=beta").status_code == 404


def test_a_timeline_says_what_happened_and_by_whom(acme):
    job_id = _submitted(acme)
    acme.key(Scope.OPERATOR).post(
        f"/v1/jobs/{job_id}/pause", json={"reason": "the CRM is being moved"}
    )
    acme.admin.post(f"/v1/jobs/{job_id}/resume")
    acme.ended(job_id)
    page = acme.key(Scope.PRODUCER, "acme").get(f"/v1/jobs/{job_id}/timeline").json()
    told = [(entry["what"], entry["to_state"]) for entry in page["items"]]
    assert told == [
        ("created", "queued"),
        ("changed", "paused"),
        ("changed", "queued"),
        ("started", "running"),
        ("finished", "succeeded"),
    ]
    paused = page["items"][1]
    assert paused["action"] == {
        "id": paused["action"]["id"],
        "by": "a test",
        "verb": "pause",
        "reason": "the CRM is being moved",
    }
    for entry in page["items"]:
        read = models.TimelineEntry.model_validate(entry)
        assert read.model_dump(mode="json") == entry
    assert job_runs.report(acme.deps, job_id).user_id == page["items"][0]["user"]


def test_many_jobs_are_counted_and_steered(acme):
    acme.license("beta")
    theirs = _submitted(acme, "beta")
    jobs = [_submitted(acme) for _ in range(3)]
    bound = acme.key(Scope.OPERATOR, "acme")
    body = {"verb": "pause", "filter": {"state": "queued"}, "reason": "the CRM is down"}
    counted = bound.post("/v1/jobs/bulk", json=body | {"dry_run": True}).json()
    assert counted == {"matched": 3, "done": 0, "skipped": 0, "max": 1000, "bulk": None}
    refused = bound.post("/v1/jobs/bulk", json=body | {"expected": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    done = bound.post("/v1/jobs/bulk", json=body | {"expected": 3}).json()
    assert (done["matched"], done["done"], done["skipped"]) == (3, 3, 0)
    noted = bound.get("/v1/actions", params={"bulk": done["bulk"]}).json()["items"]
    assert [one["target"] for one in noted] == [done["bulk"], *jobs[::-1]]
    assert acme.admin.get(f"/v1/jobs/{theirs}").json()["state"] == "queued"


@pytest.mark.parametrize(
    "body",
    [
        {"verb": "pause", "filter": {}},
        {"verb": "delete", "filter": {"license": "acme"}},
        {"verb": "pause", "filter": {"licence": "acme"}},
        {"verb": "pause", "filter": {"from": "yesterday"}},
        {"verb": "pause"},
    ],
)
def test_a_filter_that_is_none_is_refused(acme, body):
    _submitted(acme)
    answer = acme.admin.post("/v1/jobs/bulk", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert acme.admin.get("/v1/actions").json()["items"] == []


def test_jobs_are_listed_by_what_is_asked_for_page_by_page(acme):
    jobs = [_submitted(acme) for _ in range(3)]
    acme.admin.post(f"/v1/jobs/{jobs[0]}/pause")

    def listed(**query: object) -> list[str]:
        answer = acme.admin.get("/v1/jobs", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found = [job["id"] for job in page["items"]]
        if page["next"] is None:
            return found
        return found + listed(**query | {"cursor": page["next"]})

    assert listed(user="u", limit=1) == jobs[::-1]
    assert listed(user="somebody else") == []
    assert listed(text=jobs[1]) == [jobs[1]]
    assert listed(waiting="paused", license="acme") == [jobs[0]]
    at = acme.admin.get(f"/v1/jobs/{jobs[1]}").json()["created_at"]
    assert listed(**{"from": at}) == [jobs[2], jobs[1]]
    assert listed(to=at) == [jobs[0]]


def test_processes_are_listed_and_drained(acme):
    with acme.deps.database.transaction() as connection:
        heartbeats.report(connection, "a-host:1:ab", "worker", about=about())
    operator = acme.key(Scope.OPERATOR)
    (listed,) = operator.get("/v1/processes").json()["items"]
    assert models.Process.model_validate(listed).model_dump(mode="json") == listed
    assert (listed["id"], listed["state"], listed["chunks"]) == (
        *("a-host:1:ab", "alive"),
        [],
    )
    body = {"reason": "a new kernel"}
    for verb, state in (("drain", "draining"), ("undrain", "alive")):
        answer = operator.post(f"/v1/processes/a-host:1:ab/{verb}", json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert [one["verb"] for one in operator.get("/v1/actions").json()["items"]] == [
        "undrain",
        "drain",
    ]


def test_weights_and_priorities_are_noted_where_they_change(acme):
    job_id, operator = _submitted(acme), acme.key(Scope.OPERATOR)
    body = {"reason": "they pay for it"}
    for _ in range(2):
        weight = operator.put("/v1/licenses/acme/weight", json=body | {"weight": 2})
        urgent = operator.put(
            f"/v1/jobs/{job_id}/priority", json=body | {"priority": "high"}
        )
        assert (weight.status_code, urgent.status_code) == (200, 200)
    missing = operator.put("/v1/jobs/job_x/priority", json={"priority": "high"})
    assert missing.status_code == 404
    noted = operator.get("/v1/actions").json()["items"]
    assert [
        (one["verb"].split()[0], one["target_kind"], one["target"]) for one in noted
    ] == [
        ("set_priority", "job", job_id),
        ("set_weight", "license", "acme"),
    ]
    assert {(one["license"], one["reason"]) for one in noted} == {
        ("acme", "they pay for it")
    }


def test_the_queues_are_told_to_operators_as_they_stand(api):
    api.license()
    body = {
        "kind": "export",
        "license": "acme",
        "user": "user-1",
        "records": [{"company": {"id": f"c{n}"}} for n in range(3)],
    }
    assert api.admin.post("/v1/jobs", json=body).status_code == 202
    told = api.key(Scope.OBSERVER).get("/v1/queues").json()
    small = next(one for one in told["items"] if one["name"] == "small")
    assert (small["waiting"], small["running"], small["records"]) == (1, 0, 3)
    assert told["licenses"][0]["license"] == "acme"
    assert told["outbox"] == {"waiting": 0, "failing": 0, "oldest_s": 0}
