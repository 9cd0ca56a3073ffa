"""A license's own overview: every figure is the API's, whoever opens it and how."""

import csv
import io
import re
from urllib.parse import urlsplit

import pytest

from storage.access_scopes import Scope
from tests.console.conftest import Browse
from tests.support.business_time import DAY_S, shift_to
from tests.support.terminals import WarmTerminal

_HERE = "/console/licenses/acme"
_V1 = "/v1/licenses/acme"


def _run(api, user: str, first: int, count: int, license_id: str = "acme") -> str:
    records = [
        {"company": {"id": f"c{n}"}, "person": None}
        for n in range(first, first + count)
    ]
    body = {"kind": "export", "license": license_id, "user": user, "records": records}
    job: str = api.admin.post("/v1/jobs", json=body).json()["id"]
    return job


@pytest.fixture
def settings():
    # A thousand records, so that numbers have a place for thousands: not one by one.
    return {"batch_records": 1_000}


@pytest.fixture
def acme(api):
    """A license with users, views, a refund, and a job that is still open."""
    api.license(plan="V3", credits=2_000)
    job = _run(api, "ann", 0, 1_100)
    api.ended(job)
    api.ended(_run(api, "bob", 2_000, 7))
    for company in ("c5000", "c5001"):
        body = {"user": "bob", "company_id": company}
        api.admin.post(f"{_V1}/views", json=body)
    charge = api.admin.get(f"/v1/jobs/{job}/charges").json()["items"][0]["id"]
    api.admin.post(f"/v1/charges/{charge}/refund", json={"reason": "a test"})
    _run(api, "ann", 3_000, 20)
    return api


def _number(shown: str) -> int:
    return int(shown.replace("\u202f", ""))


def _figures(page: str) -> dict[str, int]:
    found = re.findall(r'data-figure="(\w+)">([^<]+)<', page)
    return {name: _number(shown) for name, shown in found}


def _rows(page: str, kind: str) -> dict[str, list[int]]:
    """The numbers in each row of a table, by what the row is of."""
    rows = re.findall(rf'<tr data-{kind}="([^"]+)">(.*?)</tr>', page, re.DOTALL)
    return {
        name: [_number(each) for each in re.findall(r'<td class="n">([^<]+)<', row)]
        for name, row in rows
    }


def _csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_every_figure_is_the_apis_and_the_csvs_to_the_credit(acme, browse):
    page = browse(Scope.FINANCE, "acme").open(_HERE).text
    told = acme.admin.get(f"{_V1}/overview").json()
    balance = acme.admin.get(f"{_V1}/balance").json()
    figures = _figures(page)
    for name in ("used", "remaining", "reserved", "expired", "granted"):
        assert figures[name] == told[name], name
    assert (told["used"], told["remaining"]) == (balance["spent"], balance["available"])
    assert (told["used"], told["reserved"]) == (1_108, 20)
    by_kind = {one["kind"]: one["credits"] for one in told["by_kind"]}
    assert by_kind == {"export": 1_106, "view": 2}
    assert (figures["export"], figures["push"], figures["view"]) == (1_106, 0, 2)
    users = {one["user"]: [one["credits"], one["count"]] for one in told["by_user"]}
    assert _rows(page, "user") == users
    assert users == {"ann": [1_099, 1_100], "bob": [9, 9]}
    usage = acme.admin.get(f"{_V1}/usage?by=user").json()["items"]
    assert {one["key"]: one["credits"] for one in usage} == {"ann": 1_099, "bob": 9}
    listed = _csv(acme.admin.get(f"{_V1}/overview?format=csv").text)
    as_csv = {one["user"]: [int(one["credits"]), int(one["count"])] for one in listed}
    assert as_csv == users


def test_the_jobs_of_a_tab_are_the_apis_and_the_csvs_and_add_up(acme, browse):
    page = browse(Scope.FINANCE, "acme").open(_HERE).text
    path = f"{_V1}/overview/jobs?kind=export"
    told = acme.admin.get(path).json()["items"]
    jobs = {one["job"]: [one["credits"], one["reserved"]] for one in told}
    assert _rows(page, "job") == jobs
    assert len(jobs) == 3
    listed = _csv(acme.admin.get(f"{path}&format=csv").text)
    as_csv = {one["job"]: [int(one["credits"]), int(one["reserved"])] for one in listed}
    assert as_csv == jobs
    assert sum(used for used, _ in jobs.values()) == _figures(page)["export"]
    for job, (used, reserved) in jobs.items():
        credits_ = acme.admin.get(f"/v1/jobs/{job}").json()["credits"]
        assert used == credits_["settled"] - credits_["refunded"]
        assert reserved == credits_["reserved"]
    first = acme.admin.get(f"{path}&limit=2").json()
    rest = acme.admin.get(f"{path}&limit=2&cursor={first['next']}").json()
    assert (first["items"] + rest["items"], rest["next"]) == (told, None)
    assert "There is none" in browse(Scope.ADMIN).open(f"{_HERE}?kind=push").text


def test_the_period_is_chosen_and_another_one_has_figures_of_its_own(acme, browse):
    then = acme.admin.get(f"{_V1}/balance").json()["period"]["starts_at"]
    acme.work()
    shift_to(acme.deps.database, 40 * DAY_S)
    browser = browse(Scope.FINANCE, "acme")
    assert _figures(browser.open(_HERE).text)["used"] == 0
    before = browser.open(f"{_HERE}?period={then[:7]}").text
    told = acme.admin.get(f"{_V1}/overview", params={"period": then}).json()
    assert _figures(before)["used"] == told["used"] == 1_128
    assert _figures(before)["expired"] == told["expired"] == 2_000 - 1_128
    for wrong, status in (("1999-01", 404), ("never", 422)):
        assert browser.open(f"{_HERE}?period={wrong}").status_code == status


def test_a_link_shows_this_page_alone_without_a_key_until_it_expires(
    acme, browse, stranger
):
    finance = browse(Scope.FINANCE)
    made = finance.send(_HERE)
    (url,) = set(re.findall(r'href="(http[^"]+/shared/[^"]+)"', made.text))
    url = url.replace("&amp;", "&")
    shown = stranger.open(url)
    assert shown.status_code == 200
    assert _figures(shown.text) == _figures(finance.open(_HERE).text)
    assert '<form method="post"' not in shown.text
    assert "/console/jobs" not in shown.text
    tab = re.findall(r'href="(\?[^"]*kind=push)"', shown.text)[0].replace("&amp;", "&")
    address = urlsplit(url)
    assert stranger.open(f"{address.path}{tab}").status_code == 200
    # It opens nothing else, and is for nobody else.
    acme.license("globex")
    other = f"{address.path.replace('acme', 'globex')}?{address.query}"
    later = address.query.replace("until=", "until=1")
    for path in (other, f"{address.path}?{later}", address.path):
        assert stranger.open(path).status_code == 404
    assert stranger.open(_HERE).url.path == "/console/sign-in"
    assert stranger.http.post(url).status_code == 405
    shift_to(acme.deps.database, 8 * DAY_S)
    assert stranger.open(url).status_code == 404


def test_links_are_made_by_api_and_command_line_too_and_are_written_down(
    acme, stranger, database_url
):
    body = {"lasts_s": 3_600}
    made = acme.key(Scope.FINANCE).post(f"{_V1}/overview-links", json=body)
    assert made.status_code == 201
    assert stranger.open(made.json()["url"]).status_code == 200
    home = acme.deps.settings.home
    terminal = WarmTerminal(home, database_url)
    link = terminal.answer("overview-link", "acme", "--url", acme.url)
    assert stranger.open(link["url"]).status_code == 200
    assert terminal.run("overview-link", "acme").returncode == 2
    assert (
        terminal.answer("overview", "acme") == acme.admin.get(f"{_V1}/overview").json()
    )
    verbs = [one["verb"] for one in acme.admin.get("/v1/actions").json()["items"]]
    assert verbs[:2] == ["link_overview"] * 2
    for wrong in ({"lasts_s": 0}, {"lasts_s": 91 * 24 * 3_600}, {"more": 1}):
        answer = acme.admin.post(f"{_V1}/overview-links", json=wrong)
        assert answer.status_code == 422


def test_the_page_opens_to_finance_of_the_license_and_to_nobody_elses_key(
    acme, browse: Browse
):
    acme.license("globex")
    assert browse(Scope.FINANCE, "globex").open(_HERE).status_code == 404
    assert browse(Scope.ADMIN, "acme").open(_HERE).status_code == 200
    for scope in (Scope.OPERATOR, Scope.OBSERVER):
        assert browse(scope, "acme").open(_HERE).status_code == 403
    other = browse(Scope.FINANCE, "globex")
    sent = other.send(_HERE, of="/console/finance")
    assert sent.status_code == 404
