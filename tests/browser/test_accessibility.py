"""Nothing keeps anybody from using a page: light or dark, wide or narrow.

A picture of each is left for a person to look at: in the folder that
HOLDFAST_TEST_SCREENSHOTS names, else in `.screenshots`.
"""

import os
from pathlib import Path

import pytest

from tests.browser.chromium import LOOKS
from tests.browser.conftest import sign_in
from tests.browser.shown_pages import PAGES

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pictures() -> Path:
    folder = Path(os.environ.get("HOLDFAST_TEST_SCREENSHOTS", _ROOT / ".screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _find_faults(browser, name: str, pictures: Path) -> dict[str, list[str]]:
    """What is wrong with the page that is open, by how it is looked at."""
    found = {}
    for look in LOOKS:
        browser.look(look)
        browser.shoot(pictures / f"{name}-{look.name}.png")
        faults = browser.faults()
        if (wider := browser.overflow()) > 0:
            faults.append(f"the page is wider than the window by {wider} px")
        if faults:
            found[look.name] = faults
    return found


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_and_the_page_fits(
    browser, jobs, house, pictures, name
):
    if PAGES[name].of_finance:
        sign_in(browser, house.finance_key)
    browser.open(PAGES[name].path.format_map(jobs))
    assert _find_faults(browser, name, pictures) == {}


def test_a_chunk_that_is_chosen_can_be_used_by_all(browser, jobs, pictures):
    browser.open(f"/console/jobs/{jobs['parked']}")
    browser.follow(browser.all(".map a")[0])
    assert _find_faults(browser, "job-chunk", pictures) == {}


def test_a_refused_form_can_be_used_by_all(browser, jobs, pictures):
    browser.open(f"/console/act/pause/{jobs['queued']}")
    browser.one("#reason").send_keys("   ")
    browser.follow(browser.one("button.main"))
    assert "a reason is needed" in browser.text("main")
    assert _find_faults(browser, "confirmation-refused", pictures) == {}
    (complaint,) = browser.complaints()
    assert "422" in complaint


def test_the_sign_in_and_errors_can_be_used_by_all(stranger, jobs, pictures):
    stranger.open("/console/sign-in")
    assert _find_faults(stranger, "sign-in", pictures) == {}
    stranger.open("/console/nothing")
    assert "404" in stranger.text("h1")
    assert _find_faults(stranger, "error", pictures) == {}
    (complaint,) = stranger.complaints()
    assert "404" in complaint


def test_axe_would_find_what_is_wrong(browser, jobs):
    browser.open("/console/jobs")
    browser.run(
        "document.querySelector('label').replaceWith('License', "
        "document.querySelector('label input'));"
        "document.querySelector('h1').style.color = '#bbbbbb'"
    )
    rules = {fault.split()[0] for fault in browser.faults()}
    assert rules == {"color-contrast", "label"}
