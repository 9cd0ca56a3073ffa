"""Journals that programs of others accept strictly, and add up to the same."""

import pytest
from sqlalchemy import text

from tests.support.bookkeeping import (
    beancount_errors,
    hledger_balances,
    hledger_errors,
)

_ODD = 'a "license"; of=others|\\ né'


@pytest.fixture
def journal(api, month, tmp_path):
    """Writes the journal of the month's period."""

    def write(format_: str, **query: str):
        asked = {"period": month.starts_at, "format": format_, **query}
        answer = api.admin.get("/v1/journal", params=asked)
        assert answer.status_code == 200, answer.text
        path = tmp_path / f"month.{format_}"
        path.write_bytes(answer.content)
        return path

    return write


def test_beancount_accepts_a_month_and_its_balances(journal):
    assert beancount_errors(journal("beancount")) == ""


def test_a_journal_that_lacks_a_transfer_is_refused_by_both(journal):
    for format_, errors in (
        ("beancount", beancount_errors),
        ("hledger", hledger_errors),
    ):
        path = journal(format_)
        begun, entry, rest = path.read_text().rpartition("\n\n20")
        before, _, _ = begun.rpartition("\n\n20")
        path.write_text(before + entry + rest)
        assert errors(path) != "", format_


def test_hledger_accepts_a_month_strictly_and_has_the_balances_of_the_house(
    api, month, journal
):
    path = journal("hledger")
    assert hledger_errors(path) == ""
    held = hledger_balances(path)
    with api.deps.database.transaction() as connection:
        period = connection.execute(
            text("""
                SELECT granted, spent, expired FROM periods
                 WHERE license_id = 'acme' AND ended_at IS NOT NULL""")
        ).one()
    sums = {
        name: sum(
            credits_ for account, credits_ in held.items() if account.endswith(ends)
        )
        for name, ends in (("spent", ":Spent"), ("expired", ":Expired"))
    }
    assert sums == {"spent": period.spent, "expired": period.expired}
    assert held["Equity:Outside:L-acme"] == -period.granted
    reserved = [
        credits_ for account, credits_ in held.items() if ":Reserved:" in account
    ]
    assert reserved
    assert not any(reserved)


def test_ids_and_words_of_others_break_no_journal_and_no_two_share_an_account(
    api, month, journal, tmp_path
):
    for license_id in (_ODD, _ODD.replace(";", ":"), "X-1", "x", "-"):
        api.license(license_id)
        body = {"credits": 3, "reference": f'12" of; | {license_id}\\'}
        path = f"/v1/licenses/{license_id}/top-ups"
        assert api.admin.post(path, json=body).status_code == 201
    (period,) = api.admin.get("/v1/licenses/x/periods").json()["items"]
    named = {"period": period["starts_at"][:7]}
    beans = journal("beancount", **named)
    assert beancount_errors(beans) == ""
    ledger = journal("hledger", **named)
    assert hledger_errors(ledger) == ""
    outside = [one for one in hledger_balances(ledger) if one.startswith("Equity:")]
    assert len(outside) == 5
