"""Reconciliations and explanations as finance sees them in the console."""

import pytest

from storage.access_scopes import Scope
from worker.finance.reconciliation.reconciler import Reconciler


@pytest.fixture
def charge(api) -> int:
    api.license("acme")
    body = {
        "kind": "export",
        "license": "acme",
        "user": "u",
        "records": [{"company": {"id": "c"}, "person": None}],
    }
    job_id = api.admin.post("/v1/jobs", json=body).json()["id"]
    api.ended(job_id)
    charged = api.admin.get(f"/v1/jobs/{job_id}/charges").json()["items"]
    found: int = charged[0]["id"]
    return found


def test_the_last_verdict_and_each_difference_are_shown(api, charge, browse):
    visitor = browse(Scope.FINANCE)
    assert (
        "never been reconciled" in visitor.open("/console/finance/reconciliations").text
    )
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET file_bytes = file_bytes + 1")
    asked = api.admin.post("/v1/reconciliations", json={"period": "open"}).json()
    Reconciler(api.deps).run()
    listed = visitor.open("/console/finance/reconciliations").text
    assert f"/console/finance/reconciliations/{asked['id']}" in listed
    assert "<strong>1 differences</strong>" in listed
    shown = visitor.open(f"/console/finance/reconciliations/{asked['id']}").text
    assert "jobs.file_bytes" in shown
    assert visitor.open("/console/finance/reconciliations/99").status_code == 404


def test_a_charge_says_why_it_cost_what_it_did(api, charge, browse):
    page = browse(Scope.FINANCE).open(f"/console/finance/charges/{charge}").text
    told = api.admin.get(f"/v1/charges/{charge}/explanation").json()
    assert told["sentences"]
    assert all(sentence in page for sentence in told["sentences"])
