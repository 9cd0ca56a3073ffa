"""Whatever goes wrong, it is said in the console's own look and with its headers."""

import httpx
import pytest
from sqlalchemy import text

from tests.api.conftest import ADMIN_KEY, served
from tests.console.conftest import Browser
from tests.console.test_pages import submitted
from worker.api.app import make_api
from worker.infrastructure.settings import Settings


def _check(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "/console/assets/console.css" in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/jobs?license=a%00b", 422),
        ("/console/jobs?text=%00", 422),
        ("/console/jobs?before=%00", 422),
        ("/console/actions?job=a%00", 422),
        ("/console/connections?after=%00", 422),
        ("/console/sign-in?next=%00", 422),
        ("/console/jobs/job%00", 404),
        ("/console/act/pause/job%00", 404),
        ("/console/act/weight/%00", 404),
        ("/console/nowhere", 404),
    ],
)
def test_what_no_text_can_hold_and_what_there_is_not_is_refused(browse, path, status):
    _check(browse().open(path), status)


def test_a_form_that_holds_what_no_text_can_is_refused(api, browse):
    api.license()
    operator, path = browse(), f"/console/act/pause/{submitted(api)}"
    _check(operator.send(path, reason="because\x00"), 422)


def test_where_the_database_is_away_a_page_says_so(stranger_to_nothing):
    _check(stranger_to_nothing.send("/console/sign-in", key=ADMIN_KEY), 503)


@pytest.fixture
def stranger_to_nothing(tmp_path):
    """A browser of an API whose database does not answer."""
    away = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    settings = Settings(home=tmp_path, database_url=away, bootstrap_key=ADMIN_KEY)
    with served(make_api(settings)) as url:
        browser = Browser(url)
        yield browser
        browser.http.close()


def test_an_accident_is_a_page_whose_id_stands_in_the_log(api, browse, caplog):
    operator = browse()
    rename = "ALTER TABLE actions RENAME COLUMN {} TO {}"
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("origin", "orig")))
    answer = operator.open("/console/actions")
    with api.deps.database.transaction() as connection:
        connection.execute(text(rename.format("orig", "origin")))
    _check(answer, 500)
    assert "orig" not in answer.text
    error_id = answer.text.partition("under ")[2].partition("<")[0]
    assert error_id in caplog.text
