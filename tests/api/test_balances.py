"""Forecast and alerts over HTTP, and on the command line the same."""

import pytest

from storage.access_scopes import Scope
from tests.support.terminals import WarmTerminal
from worker.finance.balances.balance_alerts import BalanceWatch


@pytest.fixture
def acme(api):
    api.license(credits=10)
    body = {
        "kind": "export",
        "license": "acme",
        "user": "u",
        "records": [{"company": {"id": f"c{n}"}, "person": None} for n in range(8)],
    }
    api.ended(api.admin.post("/v1/jobs", json=body).json()["id"])
    return api


def test_the_forecast_adds_up_with_balance_and_usage(acme):
    balance = acme.admin.get("/v1/licenses/acme/balance").json()
    usage = acme.admin.get("/v1/licenses/acme/usage?by=day").json()
    found = acme.key(Scope.PRODUCER).get("/v1/licenses/acme/forecast").json()
    for name in ("granted", "reserved", "spent", "available", "period"):
        assert found[name] == balance[name]
    assert found["used"] == sum(day["credits"] for day in usage["items"]) == 8
    assert found["used_per_day"] == 8
    assert found["runs_out_at"] < found["period"]["ends_at"]
    assert acme.admin.get("/v1/licenses/acme/forecast?days=0").status_code == 422
    assert acme.admin.get("/v1/licenses/none/forecast").status_code == 404


def test_thresholds_are_set_shown_removed_and_told(acme, database_url, tmp_path):
    finance, path = acme.key(Scope.FINANCE), "/v1/licenses/acme/alerts"
    none = {"license": "acme", "used_percent": [], "credits_left": []}
    assert finance.get(path).json() == none
    hook = {"license": "acme", "url": "http://127.0.0.1:9/"}
    asked = hook | {"events": ["balance.threshold"]}
    hook_id = acme.admin.post("/v1/webhooks", json=asked).json()["id"]
    body = {"used_percent": [80, 50, 80], "credits_left": [1]}
    made = finance.put(path, json=body).json()
    assert made == none | {"used_percent": [50, 80], "credits_left": [1]}
    assert finance.get(path).json() == made
    terminal = WarmTerminal(tmp_path / "home", database_url)
    assert terminal.answer("alerts", "acme") == made
    assert terminal.answer("forecast", "acme")["used"] == 8
    BalanceWatch(acme.deps).turn()
    acme.work()
    told = acme.admin.get(f"/v1/webhooks/{hook_id}/deliveries").json()["items"]
    assert [one["type"] for one in told] == ["balance.threshold"] * 2
    left = acme.admin.get("/v1/licenses/acme/notifications").json()["items"]
    assert {(one["user"], one["code"]) for one in left} == {(None, "balance_threshold")}
    assert finance.delete(path).json() == none
    assert terminal.answer("alerts", "acme", "--credits-left", "3")["credits_left"] == [
        3
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"used_percent": [0]},
        {"used_percent": [101]},
        {"credits_left": [-1]},
        {"credits_left": ["5"]},
        {"used": [5]},
        {"credits_left": list(range(21))},
    ],
)
def test_a_threshold_that_can_never_be_is_refused(acme, body):
    answer = acme.admin.put("/v1/licenses/acme/alerts", json=body)
    assert answer.status_code == 422
