"""Refunds in the console: previewed, asked for, and approved by another person."""

import re
from typing import Any

import pytest

from storage.access_scopes import Scope
from tests.console.test_pages import submitted

_HERE = "/console/finance/refunds"
_WHY = "a wrong number"


@pytest.fixture
def settings() -> dict[str, object]:
    return {"refund_approval_credits": 1}


@pytest.fixture
def job(api):
    api.license()
    job = submitted(api)
    api.ended(job)
    return job


def _note_of(answer) -> str:
    found = re.search(rf"{_HERE}/(\d+)$", str(answer.url))
    assert found, answer.url
    return found[1]


def _notes(api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.admin.get("/v1/refunds").json()["items"]
    return items


def test_a_job_is_refunded_by_two_people_and_by_one_alone_never(api, browse, job):
    ada = browse(Scope.FINANCE, person="Ada")
    bob = browse(Scope.ADMIN, person="Bob")
    page = f"{_HERE}/make?job={job}"
    preview = ada.open(page)
    assert "second person" in preview.text
    assert _notes(api) == []
    note = _note_of(ada.send(page, reason=_WHY))
    shown = ada.open(f"{_HERE}/{note}")
    assert _WHY in shown.text
    assert f"{_HERE}/{note}/approve" in shown.text
    own = ada.send(f"{_HERE}/{note}/approve", reason="mine")
    assert (own.status_code, _notes(api)[0]["state"]) == (409, "awaiting_approval")
    assert "another person" in own.text
    booked = bob.send(f"{_HERE}/{note}/approve", reason="checked")
    assert booked.status_code == 200
    assert "Credit note 1 of acme" in booked.text
    (told,) = _notes(api)
    assert (told["author"], told["approver"]) == ("Ada", "Bob")
    verbs = [one["verb"] for one in api.admin.get("/v1/actions").json()["items"]]
    assert verbs == ["approve_refund", "ask_refund"]


def test_charges_are_refunded_by_their_ids_and_what_is_free_on_them_is_shown(
    api, browse, job
):
    again = submitted(api)
    api.ended(again)
    charge, free = (
        api.admin.get(f"/v1/jobs/{one}/charges").json()["items"][0]["id"]
        for one in (job, again)
    )
    ada = browse(Scope.FINANCE, person="Ada")
    page = f"{_HERE}/make?charges={charge}"
    assert f"charge {free}" in ada.open(page).text
    note = _note_of(ada.send(page, reason=_WHY))
    assert _notes(api)[0]["state"] == "booked"
    link = f'<th scope="row"><a href="/console/finance/charges/{charge}">{charge}</a>'
    assert link in ada.open(f"{_HERE}/{note}").text
    refused = ada.open(page)
    assert "was refunded before" in refused.text
    assert 'name="reason"' not in refused.text


def test_what_waits_is_listed_and_rejected_with_a_reason(api, browse, job):
    ada = browse(Scope.FINANCE, person="Ada")
    note = _note_of(ada.send(f"{_HERE}/make?job={job}", reason=_WHY))
    waiting = f"{_HERE}?state=awaiting_approval"
    assert f'href="{_HERE}/{note}"' in ada.open(waiting).text
    without = ada.send(f"{_HERE}/{note}/reject", reason="")
    assert (without.status_code, _notes(api)[0]["state"]) == (422, "awaiting_approval")
    rejected = ada.send(f"{_HERE}/{note}/reject", reason="not theirs")
    assert "not theirs" in rejected.text
    assert f'href="{_HERE}/{note}"' not in ada.open(waiting).text


@pytest.mark.parametrize(
    "query", ["charges=x", "charges=1&job=j", "", "charges=999999", "job=nobody"]
)
def test_what_cannot_be_asked_for_is_said_and_offers_nothing(api, browse, job, query):
    answer = browse(Scope.FINANCE).open(f"{_HERE}/make?{query}")
    assert answer.status_code in {404, 422}
    assert 'name="reason"' not in answer.text


@pytest.mark.parametrize("scope", [Scope.OPERATOR, Scope.OBSERVER])
def test_who_is_not_finance_sees_and_does_nothing_here(api, browse, job, scope):
    ada = browse(Scope.FINANCE, person="Ada")
    note = _note_of(ada.send(f"{_HERE}/make?job={job}", reason=_WHY))
    other = browse(scope, person="Bob")
    for path in ("", f"/make?job={job}", f"/{note}", f"/{note}/approve"):
        assert other.open(f"{_HERE}{path}").status_code == 403
    sent = other.send(f"{_HERE}/{note}/approve", of="/console/jobs", reason="r")
    assert (sent.status_code, _notes(api)[0]["state"]) == (403, "awaiting_approval")


def test_a_form_of_elsewhere_refunds_nothing(api, browse, job):
    ada = browse(Scope.FINANCE, person="Ada")
    forged = ada.http.post(f"{_HERE}/make?job={job}", data={"reason": _WHY})
    assert (forged.status_code, _notes(api)) == (403, [])


def test_a_bound_key_sees_and_refunds_its_license_alone(api, browse, job):
    api.license("globex")
    theirs = submitted(api, "globex")
    api.ended(theirs)
    bound = browse(Scope.FINANCE, "acme", person="Ada")
    whole = browse(Scope.FINANCE, person="Bob")
    other = _note_of(whole.send(f"{_HERE}/make?job={theirs}", reason=_WHY))
    assert bound.open(f"{_HERE}/make?job={theirs}").status_code == 404
    assert bound.open(f"{_HERE}/{other}").status_code == 404
    assert bound.open(f"{_HERE}/{other}/reject").status_code == 404
    assert f'href="{_HERE}/{other}"' not in bound.open(f"{_HERE}?license=globex").text
    assert _note_of(bound.send(f"{_HERE}/make?job={job}", reason=_WHY)) != other
