"""Refunds over HTTP: previewed, made by every route, approved by another person."""

from typing import Any

import httpx
import pytest

from storage.access_scopes import Scope
from tests.api.conftest import Api
from tests.support import job_runs

_ALLOWED = 3
"""What one person may refund alone, in a day."""


@pytest.fixture
def settings() -> dict[str, object]:
    return {"refund_approval_credits": _ALLOWED}


@pytest.fixture
def acme(api: Api) -> Api:
    api.license()
    return api


def _exported(api: Api, count: int, license_id: str = "acme", first: int = 0) -> str:
    """An export of so many companies that has ended, each with a charge of one."""
    body = {
        "kind": "export",
        "license": license_id,
        "user": "u",
        "records": [
            {"company": {"id": f"c{n}"}, "person": None}
            for n in range(first, first + count)
        ],
    }
    job_id: str = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)
    return job_id


def _charges(api: Api, job_id: str) -> list[int]:
    items = api.admin.get(f"/v1/jobs/{job_id}/charges").json()["items"]
    return [item["id"] for item in items]


def _spent(api: Api, license_id: str = "acme") -> int:
    spent: int = api.admin.get(f"/v1/licenses/{license_id}/balance").json()["spent"]
    return spent


def _refund(client: httpx.Client, *charges: int, **more: str) -> httpx.Response:
    body: dict[str, Any] = {"reason": "wrong numbers"} | more
    if charges:
        body["charges"] = list(charges)
    return client.post("/v1/refunds", json=body)


def _problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_selected_charges_are_previewed_and_given_back_by_a_numbered_note(acme):
    charges = _charges(acme, _exported(acme, 4))
    free = _charges(acme, _exported(acme, 1))
    ada = acme.key(Scope.FINANCE, person="Ada")
    before = _spent(acme)
    preview = ada.post("/v1/refunds/preview", json={"charges": charges[:2]})
    assert (preview.status_code, preview.json()) == (
        200,
        {
            "license": "acme",
            "credits": 2,
            "charges": 2,
            "needs_approval": False,
            "refused": [],
            "free_on_it": free,
            "quotes": [],
            "jobs": [],
        },
    )
    assert _spent(acme) == before
    made = _refund(ada, *charges[:2])
    assert made.status_code == 201
    note = made.json()
    assert (note["number"], note["state"], note["credits"]) == (1, "booked", 2)
    assert (note["free_on_it"], note["author"]) == (free, "Ada")
    assert _spent(acme) == before - 2
    assert ada.get(f"/v1/refunds/{note['id']}").json() == note
    listed = ada.get("/v1/refunds?license=acme&state=booked").json()["items"]
    shown = {name: note[name] for name in listed[0]}
    assert listed == [shown]
    first, second = ada.get(f"/v1/refunds/{note['id']}/charges").json()["items"]
    assert first == {"charge": charges[0], "credits": 1, "refunded": True}
    page = ada.get(f"/v1/refunds/{note['id']}/charges?limit=1").json()
    cursor = f"?limit=1&cursor={page['next']}"
    follows = ada.get(f"/v1/refunds/{note['id']}/charges{cursor}").json()
    assert follows == {"items": [second], "next": None}


def test_a_whole_job_above_the_amount_waits_for_a_second_person(acme):
    job_id = _exported(acme, 5)
    ada, bob = (acme.key(Scope.FINANCE, person=name) for name in ("Ada", "Bob"))
    before = _spent(acme)
    note = _refund(ada, job=job_id).json()
    assert (note["state"], note["number"], note["credits"]) == (
        "awaiting_approval",
        None,
        5,
    )
    path = f"/v1/refunds/{note['id']}"
    assert _problem(ada.post(f"{path}/approve")) == (403, "forbidden")
    other_key = acme.key(Scope.ADMIN, person="ada")
    assert _problem(other_key.post(f"{path}/approve")) == (403, "forbidden")
    assert _problem(acme.admin.post(f"{path}/approve")) == (403, "forbidden")
    assert _spent(acme) == before
    booked = bob.post(f"{path}/approve").json()
    assert (booked["state"], booked["number"]) == ("booked", 1)
    assert (booked["author"], booked["approver"]) == ("Ada", "Bob")
    assert _spent(acme) == before - 5
    assert _problem(bob.post(f"{path}/approve")) == (409, "wrong_state")
    job = acme.admin.get(f"/v1/jobs/{job_id}").json()
    assert job["credits"]["refunded"] == 5


def test_what_waits_can_be_rejected_with_a_reason(acme):
    job_id = _exported(acme, 5)
    ada = acme.key(Scope.FINANCE, person="Ada")
    note = _refund(ada, job=job_id).json()
    path = f"/v1/refunds/{note['id']}"
    rejected = ada.post(f"{path}/reject", json={"reason": "a mistake"}).json()
    assert (rejected["state"], rejected["number"]) == ("rejected", None)
    assert (rejected["rejected_by"], rejected["rejection"]) == ("Ada", "a mistake")
    assert _refund(ada, job=job_id).json()["state"] == "awaiting_approval"


def test_every_route_counts_into_what_one_person_may_refund_alone(acme):
    charges = _charges(acme, _exported(acme, 3))
    finishing = _finishing(acme, 2)
    ada = acme.key(Scope.ADMIN, person="Ada")
    reason = {"reason": "wrong"}
    for charge, number in zip(charges[:2], (1, 2), strict=True):
        old = ada.post(f"/v1/charges/{charge}/refund", json=reason)
        assert old.status_code == 201
        assert (old.json()["state"], old.json()["number"]) == ("booked", number)
    given_up = ada.post(f"/v1/jobs/{finishing}/give-up")
    assert given_up.status_code == 202
    job = given_up.json()
    assert (job["state"], job["credits"]["refunded"]) == ("failed", 0)
    assert "second person" in job["error"]["detail"]
    (waits,) = acme.admin.get(f"/v1/refunds?job={finishing}").json()["items"]
    assert (waits["state"], waits["author"]) == ("awaiting_approval", "Ada")
    assert _refund(ada, charges[2]).json()["state"] == "booked"
    more = _charges(acme, _exported(acme, 1, first=50))
    old = ada.post(f"/v1/charges/{more[0]}/refund", json=reason).json()
    assert (old["state"], old["number"]) == ("awaiting_approval", None)
    bob = acme.key(Scope.FINANCE, person="Bob")
    assert bob.post(f"/v1/refunds/{waits['id']}/approve").json()["number"] == 4
    job = acme.admin.get(f"/v1/jobs/{finishing}").json()
    assert job["credits"]["refunded"] == job["credits"]["settled"] == 2


def _finishing(acme: Api, count: int) -> str:
    """A job of which only the file has yet to be sealed."""
    body = {
        "kind": "export",
        "license": "acme",
        "user": "u",
        "records": [{"company": {"id": f"f{n}"}, "person": None} for n in range(count)],
    }
    job_id: str = acme.admin.post("/v1/jobs", json=body).json()["id"]
    job_runs.run_chunks(acme.deps, job_id)
    assert acme.admin.get(f"/v1/jobs/{job_id}").json()["state"] == "finishing"
    return job_id


def test_a_key_that_names_nobody_refunds_below_the_amount_alone(acme):
    job_id = _exported(acme, 4)
    charges = _charges(acme, job_id)
    nobody = acme.key(Scope.FINANCE)
    assert _refund(nobody, charges[0]).json()["author"] == "a test"
    assert _problem(_refund(nobody, *charges[1:])) == (403, "forbidden")
    finishing = _finishing(acme, 4)
    given_up = acme.key(Scope.OPERATOR).post(f"/v1/jobs/{finishing}/give-up")
    assert _problem(given_up) == (403, "forbidden")
    assert acme.admin.get(f"/v1/jobs/{finishing}").json()["state"] == "finishing"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 422),
        ({"charges": [], "reason": "r"}, 422),
        ({"charges": [1]}, 422),
        ({"charges": [1], "job": "j", "reason": "r"}, 422),
        ({"charges": ["1"], "reason": "r"}, 422),
        ({"charges": [1], "reason": ""}, 422),
        ({"charges": [1], "reason": "r", "more": 1}, 422),
        ({"charges": [999999], "reason": "r"}, 404),
        ({"job": "nobody's", "reason": "r"}, 404),
    ],
)
def test_a_refund_of_nothing_or_of_what_is_not_there_is_refused(acme, body, code):
    assert acme.admin.post("/v1/refunds", json=body).status_code == code


def test_charges_of_two_licenses_are_in_no_note_together(acme):
    acme.license("globex")
    ours = _charges(acme, _exported(acme, 1))
    theirs = _charges(acme, _exported(acme, 1, "globex"))
    assert _problem(_refund(acme.admin, *ours, *theirs)) == (422, "invalid_request")


def test_a_bound_key_refunds_what_is_its_licenses_and_learns_of_nothing_else(acme):
    acme.license("globex")
    ours, theirs = _exported(acme, 1), _exported(acme, 1, "globex")
    bound = acme.key(Scope.FINANCE, "acme", person="Ada")
    for path in ("/v1/refunds", "/v1/refunds/preview"):
        more = {} if path.endswith("preview") else {"reason": "r"}
        for body in ({"job": theirs}, {"charges": _charges(acme, theirs)}):
            assert bound.post(path, json=body | more).status_code == 404
    assert _refund(bound, job=ours).json()["number"] == 1
    other = _refund(acme.admin, job=theirs).json()["id"]
    for verb in ("approve", "reject"):
        reason = {"reason": "r"} if verb == "reject" else None
        answer = bound.post(f"/v1/refunds/{other}/{verb}", json=reason)
        assert answer.status_code == 404
    listed = bound.get("/v1/refunds").json()["items"]
    assert [note["license"] for note in listed] == ["acme"]


def test_the_same_request_again_refunds_once_and_is_answered_the_same(acme):
    charges = _charges(acme, _exported(acme, 2))
    key = {"Idempotency-Key": "k"}
    body = {"charges": charges, "reason": "r"}
    first, again = (
        acme.admin.post("/v1/refunds", json=body, headers=key) for _ in range(2)
    )
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert len(acme.admin.get("/v1/refunds").json()["items"]) == 1


def test_a_refund_that_is_refused_says_which_charges_cannot_be_given_back(acme):
    charges = _charges(acme, _exported(acme, 3))
    _refund(acme.admin, charges[0])
    refused = _refund(acme.admin, *charges)
    assert _problem(refused) == (409, "wrong_state")
    assert refused.json()["detail"] == f"charge {charges[0]} was refunded before"
    preview = acme.admin.post("/v1/refunds/preview", json={"charges": charges}).json()
    assert preview["refused"] == [
        {
            "charge": charges[0],
            "code": "already_refunded",
            "message": f"charge {charges[0]} was refunded before",
        }
    ]


def test_webhooks_are_told_what_became_of_a_refund_and_not_by_whom(acme):
    types = ["refund.booked", "refund.awaiting_approval", "refund.rejected"]
    body = {"license": "acme", "url": "http://127.0.0.1:9/", "events": types}
    hook = acme.admin.post("/v1/webhooks", json=body).json()["id"]
    charges = _charges(acme, _exported(acme, 5))
    ada, bob = (acme.key(Scope.FINANCE, person=name) for name in ("Ada", "Bob"))
    _refund(ada, charges[0])
    rejected = _refund(ada, *charges[1:]).json()
    ada.post(f"/v1/refunds/{rejected['id']}/reject", json={"reason": "no"})
    approved = _refund(ada, *charges[1:]).json()
    bob.post(f"/v1/refunds/{approved['id']}/approve")
    acme.work()
    told = acme.admin.get(f"/v1/webhooks/{hook}/deliveries?limit=50").json()["items"]
    assert sorted(each["type"] for each in told) == [
        *["refund.awaiting_approval"] * 2,
        *["refund.booked"] * 2,
        "refund.rejected",
    ]
    assert all("Ada" not in str(each) for each in told)


def test_who_refunded_approved_and_rejected_stands_in_the_action_log(acme):
    charges = _charges(acme, _exported(acme, 5))
    ada, bob = (acme.key(Scope.FINANCE, person=name) for name in ("Ada", "Bob"))
    _refund(ada, charges[0])
    waits = _refund(ada, *charges[1:]).json()["id"]
    bob.post(f"/v1/refunds/{waits}/approve")
    noted = acme.admin.get("/v1/actions?license=acme").json()["items"]
    assert [(one["verb"], one["target"]) for one in noted] == [
        ("approve_refund", str(waits)),
        ("ask_refund", str(waits)),
        ("refund", str(waits - 1)),
    ]
