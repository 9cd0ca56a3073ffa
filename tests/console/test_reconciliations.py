"""Reconciliations and explanations as finance sees them in the console."""

import re

import pytest

from storage.access_scopes import Scope
from storage.finance.reconciliation import runs
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


@pytest.fixture
def job(api, charge) -> str:
    found: str = api.admin.get(f"/v1/charges/{charge}").json()["job"]
    return found


def test_a_vendors_usage_file_is_matched_from_a_form(api, job, browse):
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO provider_costs (job_id, provider, answers, paid, paid_at)"
            " VALUES (%s, 'hunter', 2, 1.50, now())",
            (job,),
        )
    visitor, path = browse(Scope.FINANCE), "/console/finance/usage"
    assert path in visitor.open("/console/finance/reconciliations").text
    file = f"job,größe\n{job},2\n<b>other</b>,1\n"

    def sent(body: str, **fields: str):
        fields = {"csrf_token": visitor.token(path), "id": "job", **fields}
        files = {"file": ("usage.csv", body.encode(), "text/csv")}
        return visitor.http.post(path, data=fields, files=files)

    shown = sent(file, provider="hunter", by="job", amount="größe")
    assert shown.status_code == 200
    assert "&lt;b&gt;other&lt;/b&gt;" in shown.text
    assert re.findall(r'<td class="n">([^<]*)</td>', shown.text) == [
        "",
        "1",
        "1.5",
        "2",
    ]
    saved = sent(file, provider="hunter", by="job", amount="größe", **{"as": "csv"})
    assert saved.headers["Content-Type"].startswith("text/csv")
    assert f"different_amount,{job},1.5,2" in saved.content.decode()
    wrong = sent("job\n\n,x\n", provider="hunter", by="job", amount="amount")
    assert (wrong.status_code, "line 1: amount: is not among" in wrong.text) == (
        422,
        True,
    )
    assert sent(file, provider="nobody", by="job").status_code == 404
    assert sent("", provider="hunter", by="job").status_code == 422
    assert sent(file, provider="hunter", by="job", csrf_token="x").status_code == 403
    assert browse(Scope.FINANCE, "acme").open(path).status_code == 403


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


def test_finance_asks_for_one_and_sees_what_waits(api, charge, browse):
    del charge
    visitor, path = browse(Scope.FINANCE), "/console/finance/reconciliations"
    for period, license_id, status in (
        ("", "", 422),
        ("yesterday", "", 422),
        ("open", "nobody", 404),
        ("1999-01", "", 404),
    ):
        told = visitor.send(path, period=period, license=license_id)
        assert told.status_code == status
        assert 'role="alert"' in told.text
    assert "There is none." in visitor.open(path).text
    (running,) = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    asked = visitor.send(path, period=running["starts_at"][:7], license="acme")
    assert asked.url.path == f"{path}/1"
    assert ">queued<" in asked.text
    assert "All charges were computed again" not in asked.text
    assert "Nothing differs" not in asked.text
    visitor.send(path, period="open")
    assert "2 wait: one runs at a time" in visitor.open(path).text
    bound = browse(Scope.FINANCE, "acme")
    assert "1 waits: one runs at a time" in bound.open(path).text
    # A key of one license asks for that one, whatever it sends.
    own = bound.send(path, period="open", license="nobody")
    assert "<dt>License</dt><dd>acme</dd>" in own.text
    with api.deps.database.transaction() as connection:
        runs.take(connection, "somebody", lease_s=60)
    told = visitor.open(path).text
    assert f'2 wait, behind <a href="{path}/1">1</a>, which runs' in told


def test_a_charge_says_why_it_cost_what_it_did(api, charge, browse):
    page = browse(Scope.FINANCE).open(f"/console/finance/charges/{charge}").text
    told = api.admin.get(f"/v1/charges/{charge}/explanation").json()
    assert told["sentences"]
    assert all(sentence in page for sentence in told["sentences"])
