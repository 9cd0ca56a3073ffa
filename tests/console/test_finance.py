"""The section of finance: who sees it, whose it shows, and whether it is right."""

import re
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from storage.access_scopes import Scope
from storage.operations import action_log
from storage.operations.action_log import WantedActions
from tests.support.months import Month, charges_of, make_month, refund
from worker.console.pages.confirmation import FINANCE_ACTIONS
from worker.finance.chain.sealer import seal
from worker.finance.statements.period_close import StatementFreezer

REASON = "the month is over"


@pytest.fixture
def month(api) -> Month:
    return make_month(api)


def path_of(month: Month, **query: object) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    license_id, at = month.license_id, month.starts_at
    return f"/console/finance/licenses/{license_id}/statement?period={at}{more}"


def act_path(month: Month) -> str:
    return f"/console/finance/act/close-period/{month.license_id}/{month.starts_at}"


def _rows(page: str, caption: str) -> list[list[str]]:
    """The rows of the table under a heading, their cells as texts."""
    _, _, rest = page.partition(f"<h2>{caption}</h2>")
    table = rest.partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.DOTALL)
    return [
        [_text(cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def _text(cell: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", cell)).replace("\u202f", "").strip()


def _document(api, month: Month, **query: object) -> dict[str, Any]:
    path = f"/v1/licenses/{month.license_id}/statement"
    asked = {"period": month.starts_at} | query
    document: dict[str, Any] = api.admin.get(path, params=asked).json()
    return document


def _log(api) -> list[tuple[str, str | None]]:
    with api.deps.database.reading() as connection:
        found = action_log.actions(connection, WantedActions())
    # The month itself has had a refund.
    return [(one.verb, one.reason) for one in found if one.verb != "refund"]


# -- Who sees what.


def _paths(api, month: Month) -> list[str]:
    charge = charges_of(api, month.done)[0]["id"]
    return [
        f"/console/finance/licenses/{month.license_id}",
        path_of(month),
        path_of(month).replace("statement?", "statement.pdf?"),
        f"/console/finance/charges/{charge}",
        act_path(month),
    ]


def test_finance_and_admin_see_the_section_and_whoever_steers_jobs_does_not(
    api, browse, month
):
    paths = ["/console/finance", "/console/finance/charges", *_paths(api, month)]
    for scope, status in (
        (Scope.FINANCE, 200),
        (Scope.ADMIN, 200),
        (Scope.OPERATOR, 403),
        (Scope.OBSERVER, 403),
    ):
        browser = browse(scope)
        for path in paths:
            assert browser.open(path).status_code == status, (scope, path)
        nav = browser.open("/console/jobs").text
        assert ("/console/finance" in nav) == (status == 200)


def test_a_bound_key_sees_its_license_alone(api, browse, month):
    api.license("globex")
    bound = browse(Scope.FINANCE, "globex")
    for path in _paths(api, month):
        assert bound.open(path).status_code == 404, path
    assert "acme" not in bound.open("/console/finance").text
    listed = bound.open("/console/finance/charges?license=acme").text
    assert month.done not in listed
    own = browse(Scope.FINANCE, "acme")
    for path in _paths(api, month):
        assert own.open(path).status_code == 200, path


def test_licenses_are_found_by_id_or_name_and_pages_follow_each_other(api, browse):
    for number in range(52):
        api.license(f"l{number:02}", name=f"House 100% {number}")
    finance = browse(Scope.FINANCE)
    first = finance.open("/console/finance").text
    assert "l49" in first
    assert "l50" not in first
    more = re.findall(r'href="(\?[^"]+)" rel="next"', first)[0]
    second = finance.open(f"/console/finance{unescape(more)}").text
    assert "l51" in second
    assert "l49" not in second
    found = finance.open("/console/finance?text=0%25+51").text
    assert "l51" in found
    assert "l50" not in found


def test_pages_of_a_license_are_found_whatever_is_in_its_id(api, browse):
    name = "a/b?c#d%2Fe & <f>"
    month = make_month(api, name)
    finance = browse(Scope.FINANCE)
    left, seen = ["/console/finance"], set[str]()
    while left:
        path = left.pop()
        if path in seen or len(seen) > 100:
            continue
        seen.add(path)
        answer = finance.open(path)
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for link in re.findall(r'href="([^"]+)"', answer.text):
            whole = str(answer.url.join(unescape(link))).removeprefix(api.url)
            path = whole.partition("#")[0]
            if path.startswith(("/console/finance", "/console/licenses")):
                left.append(path)
    named = quote(name, safe="")
    for place in (
        f"/console/finance/licenses/{named}",
        f"/console/licenses/{named}",
        f"/console/finance/act/close-period/{named}/{month.starts_at}",
    ):
        assert place in seen
    assert any(f"/{named}/statement.csv?" in path for path in seen)


def test_what_was_asked_for_and_is_none_is_said(browse, month):
    finance = browse(Scope.FINANCE)
    for path, status in (
        ("/console/finance/licenses/nobody", 404),
        ("/console/finance/licenses/nobody?before=x", 422),
        ("/console/finance/licenses/acme/statement?period=1999-01", 404),
        ("/console/finance/licenses/acme/statement?period=x", 422),
        ("/console/finance/licenses/acme/statement?run=0", 422),
        ("/console/finance/licenses/acme/statement?run=9", 404),
        ("/console/finance/licenses/acme/statement.doc", 404),
        ("/console/finance/charges?item=x", 422),
        ("/console/finance/charges?period=x", 422),
        ("/console/finance/charges/0", 404),
        ("/console/finance/charges/x", 404),
        ("/console/finance/act/close-period/acme/x", 404),
        ("/console/finance/act/close-period/acme/1999-01", 404),
        ("/console/finance/act/fly/acme/1999-01", 404),
        # What steers jobs is none of finance's.
        ("/console/finance/act/requeue/all", 404),
    ):
        assert finance.open(path).status_code == status, path


# -- That its figures are those of the API.


def test_each_figure_of_a_statements_page_is_the_apis(api, browse, month):
    refund(api, charges_of(api, month.late)[0]["id"])
    page = browse(Scope.FINANCE).open(path_of(month)).text
    document = _document(api, month)
    accounts = ("available", "reserved", "spent", "expired")
    first, *moved, last = _rows(page, "Accounts")
    for row, name in ((first, "Opening"), (last, "Closing")):
        ends = document[name.lower()]
        assert row == [name, "", "", *(str(ends[one]) for one in accounts)]
    for row, line in zip(moved, document["movements"], strict=True):
        numbers = [line[one] for one in ("credits", "count", *accounts)]
        assert row == [line["kind"].replace("_", " "), *map(str, numbers)]
    for caption, name in (
        ("By item", "by_item"),
        ("By user", "by_user"),
        ("By job", "by_job"),
    ):
        assert [row[:4] for row in _rows(page, caption)] == [
            [line["key"], *(str(line[n]) for n in ("count", "credits", "refunded"))]
            for line in document[name]
        ]
    for caption, name, key in (
        ("Late movements", "late", "kind"),
        ("Credit notes", "credit_notes", "number"),
    ):
        assert [[row[0], *row[-2:]] for row in _rows(page, caption)] == [
            [str(line[key]), str(line["count"]), str(line["credits"])]
            for line in document[name]
        ]
    (top_up,) = _rows(page, "Top-ups")
    assert [top_up[0], *top_up[2:]] == ["invoice =7", "1", "40"]


def test_a_licenses_periods_and_the_start_page_say_what_the_api_says(
    api, browse, month
):
    finance = browse(Scope.FINANCE)
    listed = finance.open("/console/finance/licenses/acme").text
    periods = api.admin.get("/v1/licenses/acme/periods").json()["items"]
    names = ("granted", "spent", "reserved", "expired", "available")
    rows = re.findall(r"<tr>(.*?)</tr>", listed.partition("<tbody>")[2], re.DOTALL)
    for row, period in zip(rows, periods, strict=True):
        numbers = [_text(one) for one in re.findall(r'<td class="n">(.*?)</td>', row)]
        assert numbers == [str(period[name]) for name in names]
    start = finance.open("/console/finance").text
    numbers = [_text(one) for one in re.findall(r'<td class="n">(.*?)</td>', start)]
    assert numbers == [str(periods[0][name]) for name in names]
    assert "1 ended" in start


def test_its_files_are_the_apis(api, browse, month):
    finance = browse(Scope.FINANCE)
    page = finance.open(path_of(month)).text
    for format_ in ("json", "csv", "xlsx", "pdf"):
        (link,) = re.findall(rf'href="(statement\.{format_}\?[^"]+)"', page)
        had = finance.open(f"/console/finance/licenses/acme/{unescape(link)}")
        query = {"period": month.starts_at, "format": format_}
        same = api.admin.get("/v1/licenses/acme/statement", params=query)
        assert had.content == same.content
        assert "attachment" in had.headers["content-disposition"]


def test_from_a_statements_line_to_the_charge_it_is_two_clicks(api, browse, month):
    finance = browse(Scope.FINANCE)
    page = finance.open(path_of(month)).text
    links = {
        unescape(link)
        for link in re.findall(r'href="(/console/finance/charges\?[^"]+)"', page)
    }
    document = _document(api, month)
    for name, by in (("by_item", "item"), ("by_user", "user"), ("by_job", "job")):
        for line in document[name]:
            (link,) = (one for one in links if one.endswith(f"&{by}={line['key']}"))
            listed = finance.open(link).text
            charges = re.findall(r"/console/finance/charges/(\d+)", listed)
            assert len(charges) == line["count"]
            assert (
                finance.open(f"/console/finance/charges/{charges[0]}").status_code
                == 200
            )


def test_the_charges_of_a_filter_follow_page_by_page(api, browse, month):
    finance = browse(Scope.FINANCE)
    query = f"license=acme&period={month.starts_at[:7]}"
    listed = finance.open(f"/console/finance/charges?{query}").text
    assert len(re.findall(r'row"><a href="/console/finance/charges/\d+"', listed)) == 17
    assert 'rel="next"' not in listed
    views = finance.open(f"/console/finance/charges?{query}&job=views").text
    assert len(re.findall(r'row"><a href="/console/finance/charges/\d+"', views)) == 2


# -- Closing.


def test_finance_closes_a_period_with_a_reason_and_sees_it_frozen(api, browse, month):
    finance = browse(Scope.FINANCE)
    listed = finance.open("/console/finance/licenses/acme").text
    assert act_path(month) in unescape(listed)
    shown = finance.open(act_path(month)).text
    assert "never be reopened" in shown
    assert _document(api, month)["frozen_at"] is None
    assert finance.send(act_path(month), reason=" ").status_code == 422
    done = finance.send(act_path(month), reason=REASON)
    assert (done.status_code, done.url.path) == (
        200,
        "/console/finance/licenses/acme/statement",
    )
    assert "frozen" in done.text
    assert _document(api, month)["frozen_at"] is not None
    assert _log(api) == [("close_period", REASON)]
    again = finance.open("/console/finance/licenses/acme").text
    assert "close-period" not in again
    assert "closed" in again
    assert finance.open(act_path(month)).status_code == 409


def test_a_supplement_is_a_run_of_its_own_on_the_page(api, browse, month):
    finance = browse(Scope.FINANCE)
    finance.send(act_path(month), reason=REASON)
    refund(api, charges_of(api, month.done)[1]["id"])
    since = finance.open(path_of(month, run=2)).text
    assert "not frozen yet" in since
    seal(api.deps)
    StatementFreezer(api.deps).turn()
    page = finance.open(path_of(month, run=2)).text
    assert "supplement 2" in page
    document = _document(api, month, run=2)
    assert _rows(page, "Accounts")[-1][5] == str(document["closing"]["spent"])


def test_what_may_not_be_closed_is_said_so_and_leaves_no_trace(api, browse, month):
    now = api.admin.get("/v1/licenses/acme/balance").json()["period"]["starts_at"]
    path = f"/console/finance/act/close-period/acme/{now}"
    answer = browse(Scope.FINANCE).send(path, reason=REASON)
    assert answer.status_code == 409
    assert "ends at" in answer.text
    assert "not over yet" in browse(Scope.FINANCE).open(path).text
    assert _log(api) == []


def test_a_form_of_another_session_or_license_closes_nothing(api, browse, month):
    api.license("globex")
    finance, other = browse(Scope.FINANCE), browse(Scope.FINANCE)
    token = other.token("/console/finance")
    for sent in ({}, {"csrf_token": token}):
        answer = finance.http.post(act_path(month), data={"reason": REASON, **sent})
        assert answer.status_code == 403
    for scope, license_id, status in (
        (Scope.FINANCE, "globex", 404),
        (Scope.OPERATOR, None, 403),
        (Scope.OBSERVER, None, 403),
    ):
        browser = browse(scope, license_id)
        sent = {"csrf_token": browser.token("/console/jobs"), "reason": REASON}
        assert browser.http.post(act_path(month), data=sent).status_code == status
    assert set(FINANCE_ACTIONS) == {"close-period"}
    assert _document(api, month)["frozen_at"] is None
    assert _log(api) == []
