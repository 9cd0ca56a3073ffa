"""A statement adds up, and says the same as balance, usage and charges do."""

import pytest

from tests.support.months import Month, charges_of, make_month, refund

ACCOUNTS = ("available", "reserved", "spent", "expired")


@pytest.fixture
def month(api) -> Month:
    return make_month(api)


def shown(api, month: Month, **query: object):
    query = {"period": month.starts_at} | query
    answer = api.admin.get(f"/v1/licenses/{month.license_id}/statement", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _moved(statement) -> dict[str, tuple[int, int]]:
    return {
        line["kind"]: (line["credits"], line["count"])
        for line in statement["movements"]
    }


def _adds_up(statement) -> None:
    for name in ACCOUNTS:
        moved = sum(line[name] for line in statement["movements"])
        assert statement["opening"][name] + moved == statement["closing"][name]


def test_a_months_movements_are_told_by_kind_and_lead_from_opening_to_closing(
    api, month
):
    statement = shown(api, month)
    _adds_up(statement)
    assert statement["opening"] == dict.fromkeys(ACCOUNTS, 0)
    # Three companies and two late ones at 4 each; c1's view was free, c9's was not.
    assert _moved(statement) == {
        "granted": (500, 1),
        "topped_up": (40, 1),
        "reserved": (20, 2),
        "settled": (20, 15),
        "viewed": (1, 2),
        "released": (0, 0),
        "refunded": (1, 1),
        "expired": (520, 1),
        "reopened": (0, 0),
    }
    assert statement["closing"] == {
        "available": 0,
        "reserved": 0,
        "spent": 20,
        "expired": 520,
    }
    assert [line["reference"] for line in statement["top_ups"]] == ["invoice =7"]


def test_its_lines_are_what_usage_and_charges_say(api, month):
    statement = shown(api, month)
    for by in ("item", "user", "job"):
        usage = api.admin.get(
            f"/v1/licenses/{month.license_id}/usage",
            params={"by": by, "period": month.starts_at},
        ).json()["items"]
        lines = statement[f"by_{by}"]
        assert {
            line["key"]: (line["credits"] - line["refunded"], line["count"])
            for line in lines
        } == {item["key"]: (item["credits"], item["count"]) for item in usage}
        charged = sum(line["credits"] for line in lines)
        moved = _moved(statement)
        assert charged == moved["settled"][0] + moved["viewed"][0]
        assert sum(line["refunded"] for line in lines) == moved["refunded"][0]
    listed = api.admin.get("/v1/charges", params={"period": month.starts_at}).json()
    assert sum(item["credits"] for item in listed["items"]) == charged
    assert len(listed["items"]) == sum(line["count"] for line in lines)


def test_refunds_stand_with_the_numbers_of_their_credit_notes(api, month):
    notes = api.admin.get("/v1/refunds", params={"license": "acme"}).json()["items"]
    (line,) = shown(api, month)["credit_notes"]
    (note,) = notes
    assert (line["number"], line["credits"]) == (note["number"], note["credits"])
    assert (line["count"], line["job"]) == (1, note["job"])
    refund(api, charges_of(api, month.late)[0]["id"])
    lines = shown(api, month)["credit_notes"]
    assert [line["number"] for line in lines] == [1, 2]
    assert (
        sum(line["credits"] for line in lines)
        == _moved(shown(api, month))["refunded"][0]
    )


def test_a_running_months_closing_is_the_balance(api):
    api.license()
    statement = api.admin.get("/v1/licenses/acme/statement").json()
    balance = api.admin.get("/v1/licenses/acme/balance").json()
    assert statement["closing"] == {name: balance[name] for name in ACCOUNTS}
    assert (statement["frozen_at"], statement["previous"]) == (None, None)


def test_what_moved_once_the_month_was_over_is_shown_as_late(api, month):
    (settled,) = shown(api, month)["late"]
    assert (settled["kind"], settled["job"]) == ("settled", month.late)
    assert (settled["credits"], settled["count"]) == (8, 6)
    refund(api, charges_of(api, month.done)[1]["id"])
    late = shown(api, month)["late"]
    assert ("refunded", month.done) in {(line["kind"], line["job"]) for line in late}


def test_the_next_month_accounts_for_the_one_before_and_carries_nothing_over(
    api, month
):
    refund(api, charges_of(api, month.late)[0]["id"])
    before = shown(api, month)
    now = api.admin.get(f"/v1/licenses/{month.license_id}/statement").json()
    assert now["previous"] == {
        "starts_at": month.starts_at,
        "run": None,
        "head": None,
        "closing": before["closing"],
    }
    assert now["opening"] == dict.fromkeys(ACCOUNTS, 0)
    assert before["closing"]["available"] == 0
    # That a refund of the month before came is told, and its amount stands there.
    (memo,) = now["memo"]
    assert memo == {
        "kind": "refunded",
        "job": month.late,
        "count": 1,
        "period": month.starts_at,
    }
    assert _moved(now)["refunded"] == (0, 0)


def test_a_month_is_named_by_its_start_or_by_the_month_that_it_starts_in(api, month):
    statement = shown(api, month)
    assert shown(api, month, period=month.starts_at[:7]) == statement
    path = f"/v1/licenses/{month.license_id}/statement"
    for wrong, status in (
        ("1999-01", 404),
        ("2026-13", 422),
        ("2026", 422),
        ("2026-11-01", 422),
        ("2026-11-01T00:00:00", 422),
    ):
        answer = api.admin.get(path, params={"period": wrong})
        assert answer.status_code == status, (wrong, answer.text)
    assert api.admin.get(path, params={"run": 2}).status_code == 404
