"""Weights of licenses and priorities of jobs, over HTTP."""

import pytest

from storage.access_scopes import Scope

_ONE = {
    "kind": "export",
    "license": "acme",
    "user": "ada",
    "records": [{"company": {"id": "c1"}, "person": None}],
}


def test_an_operator_sets_what_a_license_weighs(api):
    api.license()
    operator = api.key(Scope.OPERATOR)
    assert api.admin.get("/v1/licenses/acme").json()["weight"] == 1
    for _ in range(2):
        answer = operator.put("/v1/licenses/acme/weight", json={"weight": 0.25})
        assert (answer.status_code, answer.json()["weight"]) == (200, 0.25)
    assert api.admin.get("/v1/licenses/acme").json()["weight"] == 0.25
    again = {
        "id": "acme",
        "name": "Acme",
        "plan": "V2",
        "payment_term": "monthly",
        "credits": 500,
    }
    assert api.admin.post("/v1/licenses", json=again).status_code == 200


@pytest.mark.parametrize("weight", [0.2, 4.1, "1", None, True, 1.001])
def test_a_weight_out_of_bounds_is_named(api, weight):
    api.license()
    answer = api.admin.put("/v1/licenses/acme/weight", json={"weight": weight})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "weight")
    assert api.admin.get("/v1/licenses/acme").json()["weight"] == 1


def test_what_licenses_weigh_is_the_house_s_and_a_job_s_priority_its_license_s(api):
    api.license()
    api.license("other")
    job = api.admin.post("/v1/jobs", json=_ONE).json()
    assert job["priority"] == "normal"
    bound, stranger = api.key(Scope.OPERATOR, "acme"), api.key(Scope.OPERATOR, "other")
    weight = {"weight": 4}
    assert bound.put("/v1/licenses/acme/weight", json=weight).status_code == 403
    assert bound.put("/v1/licenses/other/weight", json=weight).status_code == 404
    path = f"/v1/jobs/{job['id']}/priority"
    assert stranger.put(path, json={"priority": "high"}).status_code == 404
    answer = bound.put(path, json={"priority": "high"})
    assert (answer.status_code, answer.json()["priority"]) == (200, "high")
    assert bound.put(path, json={"priority": "urgent"}).status_code == 422


def test_the_priority_of_a_job_that_has_ended_stays(api):
    api.license()
    job = api.ended(api.admin.post("/v1/jobs", json=_ONE).json()["id"])
    path = f"/v1/jobs/{job['id']}/priority"
    answer = api.admin.put(path, json={"priority": "low"})
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
