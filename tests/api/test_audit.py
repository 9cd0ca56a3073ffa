"""How the ledger stands is said to monitoring and to operators, who may answer."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from storage.access_scopes import Scope
from storage.ledger import audit
from tests.api.conftest import Api, serving
from tests.support.metrics import samples
from worker.ledger.audit import audit as run_audit

_COUNTERS = "period_counters_are_account_balances"


@pytest.fixture
def broken(broken_database, tmp_path) -> Iterator[Api]:
    """An API whose ledger has broken a promise, which the audit has found."""
    url = broken_database.url.render_as_string(hide_password=False)
    with serving(url, tmp_path, {}) as api:
        api.license()
        with broken_database.transaction() as connection:
            connection.execute(text("UPDATE periods SET granted = granted + 1"))
        run_audit(api.deps)
        yield api


def _ready(api: Api) -> tuple[int, dict[str, object]]:
    answer = api.admin.get("/readyz")
    return answer.status_code, answer.json()


def test_readiness_says_that_the_ledger_was_audited(api):
    status, parts = _ready(api)
    assert (status, parts["audit"], "audited_at" in parts) == (200, "ok", False)
    run_audit(api.deps)
    status, parts = _ready(api)
    assert (status, parts["audit"]) == (200, "ok")
    assert str(parts["audited_at"]).endswith("Z")
    assert "violated" not in parts
    with api.deps.database.transaction() as connection:
        connection.execute(
            text("UPDATE audit_runs SET finished_at = finished_at - interval '1 day'")
        )
    assert _ready(api)[1]["audit"] == "late"
    assert samples(api.client(None))["audit_late",] == 1


def test_a_broken_promise_is_named_counted_and_answered(broken):
    status, parts = _ready(broken)
    assert (status, parts["audit"], parts["violated"]) == (200, "violated", [_COUNTERS])
    found = samples(broken.client(None))
    assert found["audit_violations", _COUNTERS] == 1
    assert sum(found["audit_violations", check] for check in audit.CHECKS) == 1
    operator = broken.key(Scope.OPERATOR)
    shown = operator.get("/v1/audit").json()
    assert (shown["state"], shown["audited_at"] is None) == ("violated", False)
    (violation,) = shown["violations"]
    assert (violation["check"], violation["acknowledged"]) == (_COUNTERS, None)
    path = f"/v1/audit/violations/{violation['id']}/acknowledge"
    body = {"reason": "a grant by hand", "by": "ada"}
    answer = operator.post(path, json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()["acknowledged"]
    assert (said["by"], said["reason"], said["refund"]) == (
        "ada",
        "a grant by hand",
        None,
    )
    assert operator.get("/v1/audit").json()["violations"] == [answer.json()]
    assert _ready(broken)[1]["audit"] == "ok"
    assert samples(broken.client(None))["audit_violations", _COUNTERS] == 0
    again = operator.post(path, json=body)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_the_audit_is_for_operators_of_the_whole_house(broken):
    assert broken.key(Scope.PRODUCER).get("/v1/audit").status_code == 403
    assert broken.key(Scope.OPERATOR, "acme").get("/v1/audit").status_code == 404
    assert broken.key(Scope.FINANCE).get("/v1/audit").status_code == 200
    (violation,) = broken.admin.get("/v1/audit").json()["violations"]
    path = f"/v1/audit/violations/{violation['id']}/acknowledge"
    money = broken.key(Scope.OPERATOR).post(path, json={"reason": "x", "refund": 1})
    assert (money.status_code, money.json()["code"]) == (403, "forbidden")
    nothing = broken.key(Scope.FINANCE).post(path, json={"reason": "x", "refund": 1})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")
    assert broken.admin.post(path, json={"reason": ""}).status_code == 422
