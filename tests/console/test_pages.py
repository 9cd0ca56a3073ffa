"""The pages: who may see each, and what stands in them."""

import re
import sys
from xml.etree import ElementTree as ET

import pytest

from storage.access_scopes import Scope
from storage.operations import history
from tests.api.conftest import Api
from tests.support import job_runs
from worker.console.charts import CHARTS, SPANS
from worker.console.page_table import PAGES

_RECORDS = [
    {"company": {"id": f"c{n}"}, "person": {"id": f"p{n}", "first_name": "<b>Ann</b>"}}
    for n in range(3)
]


def submitted(api: Api, license_id: str = "acme", **more: object) -> str:
    """A job of three records."""
    body = {
        "kind": "export",
        "license": license_id,
        "user": "user-1",
        "name": f"<i>Three</i> of {license_id}",
        "records": _RECORDS,
    }
    made = api.admin.post("/v1/jobs", json=body | more)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


@pytest.fixture
def job(api):
    api.license()
    return submitted(api)


# Written out: whoever changes the table of pages has to say so here as well.
_HOUSE = {"overview", "queues", "workers", "providers"}
_SEEN = {
    Scope.ADMIN: {"jobs", "connections", "actions", "finance"} | _HOUSE,
    Scope.OPERATOR: {"jobs", "connections", "actions"} | _HOUSE,
    Scope.OBSERVER: {"jobs", "connections", "actions"} | _HOUSE,
    Scope.FINANCE: {"jobs", "finance"},
}


@pytest.mark.parametrize("scope", _SEEN)
def test_a_page_opens_to_the_scopes_it_is_for_and_the_houses_to_no_bound_key(
    api, browse, scope
):
    api.license()
    for license_id, shut in ((None, set()), ("acme", _HOUSE)):
        browser = browse(scope, license_id)
        for page in PAGES:
            opens = page.name in _SEEN[scope] - shut
            answer = browser.open(f"/console{page.path}")
            assert answer.status_code == (200 if opens else 403), page.name


def test_the_navigation_leads_to_what_opens_and_to_nothing_else(api, browse):
    api.license()
    shown = browse(Scope.OPERATOR, "acme").open("/console/jobs").text
    assert "/console/connections" in shown
    assert "/console/queues" not in shown


def test_a_bound_key_sees_the_jobs_of_its_license_alone(api, browse):
    api.license()
    api.license("globex")
    own, other = submitted(api), submitted(api, "globex")
    bound = browse(Scope.OPERATOR, "acme")
    listed = bound.open("/console/jobs?license=globex").text
    assert own in listed
    assert other not in listed
    assert bound.open(f"/console/jobs/{own}").status_code == 200
    assert bound.open(f"/console/jobs/{other}").status_code == 404
    assert bound.open(f"/console/jobs/{other}/file").status_code == 404


def test_what_clients_name_is_shown_as_they_wrote_it_and_never_run(browse, job):
    for path in ("/console/", "/console/jobs", f"/console/jobs/{job}"):
        shown = browse().open(path).text
        assert "&lt;i&gt;Three&lt;/i&gt; of acme" in shown
        assert "<i>Three" not in shown


def test_nothing_of_another_host_is_loaded_and_nothing_in_a_page_is_run(browse, job):
    answer = browse().open(f"/console/jobs/{job}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for trace in ("http://", "https://", "style=", "onclick", "<script>"):
        assert trace not in answer.text


def test_the_overview_shows_an_open_job_and_what_waits(browse, job):
    shown = browse().open("/console/").text
    assert job in shown
    assert "0 of 3" in shown


def test_a_jobs_page_shows_what_became_of_it(api, browse, job):
    api.ended(job)
    shown = browse().open(f"/console/jobs/{job}").text
    for text in ("succeeded", "3 of 3 records", "price", "made by user-1", ".csv"):
        assert text in shown
    assert "Why it does not run" not in shown


def test_a_jobs_file_is_had_from_its_page(api, browse, job):
    api.ended(job)
    file = browse().open(f"/console/jobs/{job}/file")
    assert file.status_code == 200
    assert file.text.startswith("company_id")
    told = browse().open(f"/console/jobs/{job}/manifest").json()
    assert told["job"] == job


def test_a_chunk_is_shown_with_its_attempts(api, browse, job):
    with api.deps.database.reading() as connection:
        chunk_id = connection.exec_driver_sql("SELECT id FROM chunks").scalar_one()
    shown = browse().open(f"/console/jobs/{job}?chunk={chunk_id}").text
    assert f"Chunk {chunk_id}" in shown
    assert "1 to 3, 0 done" in shown


def test_jobs_that_do_not_fit_the_filters_are_not_listed(api, browse, job):
    other = submitted(api, records=[{"company": {"id": "z"}}])
    api.ended(job)
    operator = browse()
    assert job in operator.open("/console/jobs?state=succeeded").text
    listed = operator.open("/console/jobs?kind=push").text
    assert job not in listed
    assert other not in listed


def test_what_no_job_can_be_is_said_so(browse):
    for query in ("state=asleep", "kind=import", "to=9999-12-31", "from=0000-01-01"):
        answer = browse().open(f"/console/jobs?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.text


def test_pages_of_jobs_follow_each_other_without_a_gap(api, browse):
    api.license()
    made = [submitted(api, records=[{"company": {"id": f"x{n}"}}]) for n in range(52)]
    first = browse().open("/console/jobs").text
    assert made[-1] in first
    assert made[1] not in first
    oldest = made[2]
    second = browse().open(f"/console/jobs?before={oldest}").text
    assert made[1] in second
    assert made[0] in second
    assert oldest not in second


def test_charts_of_the_hour_and_the_day_are_drawn_from_the_history(api, browse):
    with api.deps.database.transaction() as connection:
        history.note(connection, processes_within_s=60)
    operator = browse()
    shown = operator.open("/console/").text
    for span in SPANS:
        for chart in CHARTS:
            assert f"/console/charts/{span}/{chart}.svg" in shown
            drawn = operator.open(f"/console/charts/{span}/{chart}.svg")
            assert drawn.headers["content-type"] == "image/svg+xml"
            assert ET.fromstring(drawn.text).tag.endswith("svg")
    assert operator.open("/console/charts/week/records.svg").status_code == 404
    assert (
        browse(Scope.FINANCE).open("/console/charts/day/records.svg").status_code == 403
    )


def test_drawing_a_chart_leaves_imports_as_they_were(browse):
    browse().open("/console/charts/hour/records.svg")
    assert not [each for each in sys.meta_path if type(each).__module__ == "pygal"]


def test_a_list_of_jobs_adds_up_the_credits_it_shows(api, browse, job):
    api.ended(job)
    shown = browse().open("/console/jobs?license=acme").text
    foot = shown.partition("<tfoot>")[2].partition("</tfoot>")[0]
    assert "These 1</th>" in foot
    assert re.findall(r'<td class="n">(\d+)</td>', foot)[0] == "3"
    pushes = browse().open("/console/jobs?license=acme&kind=push").text
    assert "No job is like this" in pushes


def test_filters_suggest_what_the_jobs_shown_have(api, browse, job):
    api.admin.post(f"/v1/jobs/{job}/pause").raise_for_status()
    shown = browse().open("/console/jobs").text
    for name, value in {"licenses": "acme", "reasons": "paused"}.items():
        offered = shown.partition(f'<datalist id="{name}">')[2].partition("</datalist>")
        assert f'<option value="{value}">' in offered[0]


def test_a_house_that_was_never_audited_is_not_told_that_nothing_is_wrong(browse):
    shown = browse().open("/console/").text
    told = shown.partition("Last audit")[2].partition("</dl>")[0]
    assert "never" in told
    assert "nothing wrong" not in told


@pytest.mark.parametrize(
    "shown", ["license_paused", "license paused", " License Paused"]
)
def test_jobs_are_found_by_what_they_wait_for_as_it_is_shown(api, browse, job, shown):
    api.admin.put("/v1/pauses/license/acme", json={"reason": "x"}).raise_for_status()
    listed = browse().open(f"/console/jobs?reason={shown}").text
    assert job in listed
    assert '<option value="license paused">' in listed
    assert job not in browse().open("/console/jobs?reason=paused").text


def test_how_many_a_provider_found_stands_beside_what_was_charged(api, browse):
    api.license()
    job_runs.know(api.deps, "p0", "p1")
    job = submitted(api, retrieve=["email"])
    api.ended(job)
    shown = browse().open(f"/console/jobs/{job}").text
    found = shown.partition("Found by provider")[2].partition("</table>")[0]
    row = found.partition('<th scope="row">email</th>')[2].partition("</tr>")[0]
    assert re.findall(r'<td class="n">(\d+)</td>', row) == ["2", "2"]
