"""Erasing a person over HTTP."""

from storage.access_scopes import Scope

_RECORDS = [
    {"company": {"id": "c"}, "person": {"id": "ada", "first_name": "Ada"}},
    {"company": {"id": "c"}, "person": {"id": "bob", "first_name": "Bob"}},
]


def _delivered(api, license_id: str) -> str:
    api.license(license_id)
    body = {"kind": "export", "license": license_id, "user": "u", "records": _RECORDS}
    job_id: str = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)
    return job_id


def _has_file(api, job_id: str) -> bool:
    return api.admin.get(f"/v1/jobs/{job_id}").json()["file"] is not None


def test_a_person_is_erased_for_everybody_and_it_is_told_what_went(api):
    jobs = [_delivered(api, name) for name in ("acme", "other")]
    done = api.admin.post("/v1/erasures", json={"person_id": " ada "})
    assert done.status_code == 200
    told = done.json()
    assert (told["person"], told["license"]) == ("ada", None)
    assert told["erased"]["files"] == 2
    assert not any(_has_file(api, job_id) for job_id in jobs)
    again = api.admin.post("/v1/erasures", json={"person_id": "ada"}).json()
    assert again["erased"]["files"] == 0


def test_a_bound_admin_erases_from_its_license_alone(api):
    ours, theirs = (_delivered(api, name) for name in ("acme", "other"))
    bound = api.key(Scope.ADMIN, "acme")
    assert bound.post("/v1/erasures", json={"person_id": "ada"}).json()["license"] == (
        "acme"
    )
    assert not _has_file(api, ours)
    assert _has_file(api, theirs)
    other = {"person_id": "ada", "license": "other"}
    assert bound.post("/v1/erasures", json=other).status_code == 404
