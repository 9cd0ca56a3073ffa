"""Each page opens, and says what it should of jobs in all states."""

import pytest

from tests.browser.conftest import sign_in
from tests.browser.shown_pages import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_should(browser, jobs, house, name):
    page = PAGES[name]
    if page.of_finance:
        sign_in(browser, house.finance_key)
    browser.open(page.path.format_map(jobs))
    shown = browser.text("main")
    assert [words for words in page.says if words not in shown] == []


def test_the_navigation_leads_to_each_page(browser, jobs):
    titles = browser.texts("header nav a")
    assert len(titles) >= 7
    for title in titles:
        browser.follow(browser.link(title))
        assert browser.text("header nav a[aria-current]") == title
        assert browser.text("h1") == title


def test_a_cell_of_the_map_leads_to_its_chunk(browser, jobs):
    browser.open(f"/console/jobs/{jobs['parked']}")
    browser.follow(browser.all(".map a")[1])
    assert "Chunk " in browser.text("#chunk h3")
    assert "41 to 80" in browser.text("#chunk")


def test_filters_stand_in_the_url_and_narrow_what_is_listed(browser, jobs):
    browser.open("/console/jobs")
    browser.one("[name=license]").send_keys("acme")
    browser.one("[name=text]").send_keys("october")
    browser.follow(browser.one(".filters button"))
    assert "license=acme" in browser.path
    assert "text=october" in browser.path
    assert browser.texts("tbody th") == ["Newsletter, October"]


def test_the_file_of_a_job_is_there_to_be_fetched(browser, jobs, house):
    browser.open(f"/console/jobs/{jobs['succeeded']}")
    link = browser.one(f"a[href$='{jobs['succeeded']}/file']").get_attribute("href")
    fetched = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "fetch(arguments[0]).then((it) => it.text()).then(done)",
        link,
    )
    assert "company_id" in fetched.splitlines()[0]
    assert len(fetched.splitlines()) == 401
