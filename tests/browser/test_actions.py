"""Each action clicked through to its effect, and found in the action log."""

import threading
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser
from tests.browser.shown_house import OPERATOR, ShownHouse
from tests.support.fleet import until
from tests.support.receivers import Reply, receiver
from worker.infrastructure.clock import wait

LICENSE = "hooli"
"""What is steered here is of a license that nobody looks at elsewhere."""


@pytest.fixture(scope="module")
def slow(house: ShownHouse, jobs: dict[str, str]) -> str:
    """A connection of theirs to a CRM that takes its time."""
    house.license(LICENSE, "Hooli")
    return house.connection(LICENSE, "pipedrive", "Hooli's")


@pytest.fixture
def running(house: ShownHouse, slow: str) -> Iterator[str]:
    """A job of theirs that runs for as long as a test may take."""
    job_id = house.begun(house.push(LICENSE, "A long push", slow, 1_000))
    yield job_id
    house.steer("POST", f"/jobs/{job_id}/cancel")
    house.reached(job_id, "cancelled")


def _act(browser: Browser, href: str, reason: str, **fields: str) -> None:
    """Follow the link to an action on the page that is open, and confirm it."""
    link = browser.one(f"main a[href^='/console/{href}']")
    verb = link.text.split()[0].lower()
    browser.follow(link)
    assert browser.text("h1").lower().startswith(verb)
    assert browser.text("main p:not(.hint)")
    for name, value in fields.items():
        field = browser.one(f"[name={name}]")
        if field.tag_name == "input":
            field.clear()
        field.send_keys(value)
    browser.one("#reason").send_keys(reason)
    browser.follow(browser.one("button.main"))
    assert browser.all(".problem") == []


def _logged(browser: Browser, reason: str) -> list[str]:
    """The verbs in the action log that have this reason, the newest first."""
    browser.open("/console/actions")
    rows = [row.text for row in browser.all("tbody tr") if reason in row.text]
    assert all(f"{OPERATOR} console from 127.0.0.1" in row for row in rows)
    return [row.partition("127.0.0.1 ")[2].split()[0] for row in rows]


def test_a_job_is_paused_resumed_hurried_cancelled_and_retried(browser, house, running):
    why, page = "its CRM is slow", f"/console/jobs/{running}"
    browser.open(page)
    _act(browser, f"act/pause/{running}", why)
    house.reached(running, "paused")
    browser.open(page)
    assert "paused" in browser.text(".state")
    assert why in browser.text(".timeline")
    _act(browser, f"act/priority/{running}", why, priority="high")
    assert "Priority high" in browser.text("main")
    _act(browser, f"act/resume/{running}", why)
    house.reached(running, "running")
    browser.open(page)
    _act(browser, f"act/cancel/{running}", why)
    house.reached(running, "cancelled")
    browser.open(page)
    _act(browser, f"act/retry/{running}", why)
    assert "a retry of" in browser.text(".timeline")
    again = browser.path.rpartition("/")[2]
    assert again != running
    house.steer("POST", f"/jobs/{again}/cancel")
    verbs = ["retry", "cancel", "resume", "set", "pause"]
    assert _logged(browser, why) == verbs


def test_what_cannot_be_sealed_is_given_up_or_tried_at_once(browser, house, jobs):
    why = "its disk was full"
    job_id = house.stuck("acme", "Cannot be sealed", 480, 500)
    browser.open(f"/console/jobs/{job_id}")
    _act(browser, f"act/give-up/{job_id}", why)
    assert browser.text(".state") == "failed"
    assert "given up" in browser.text("main")
    job_id = house.stuck("acme", "Could not be sealed", 500, 520)
    house.up.files.joinpath("jobs", job_id, f"{job_id}.csv").rmdir()
    browser.open("/console/queues")
    _act(browser, "act/requeue/all", why)
    house.reached(job_id, "succeeded")
    assert _logged(browser, why) == ["requeue", "give"]


def test_a_webhook_is_sent_again(browser, house, jobs):
    why, told = "they lost it", len(house.hook.calls)
    browser.open(f"/console/jobs/{jobs['succeeded']}")
    _act(browser, "act/send-again/", why)
    until(lambda: len(house.hook.calls) > told)
    assert jobs["succeeded"].encode() in house.hook.calls[-1].body
    assert _logged(browser, why) == ["send"]


def test_a_chunk_is_taken_from_a_worker_that_hangs(browser, house, slow):
    why, hangs, goes_on = "it hangs", threading.Event(), threading.Event()

    def hang(number: int) -> Reply:
        if b"push.ping" not in there.calls[number - 1].body:
            hangs.set()
            wait(goes_on, 60)
        return Reply()

    with receiver() as there:
        there.answer = hang
        made = house.ask(
            "POST",
            "/connections",
            license=LICENSE,
            connector="webhook",
            name="Theirs",
            settings={"url": there.url()},
            secrets={"signing_secret": "whsec_c2VjcmV0LW9mLWEtdGVzdA=="},
        )
        job_id = house.push(LICENSE, "Hangs", made["id"], 4)
        assert wait(hangs, 60)
        assert house.ask("GET", f"/jobs/{job_id}")["progress"]["delivered"] == 0
        browser.open(f"/console/jobs/{job_id}")
        browser.follow(browser.one(".map .running"))
        chunk = browser.path
        _act(browser, "act/give-back/", why)
        goes_on.set()
        house.reached(job_id, "succeeded")
    browser.open(chunk)
    assert "Attempts\n1," not in browser.text("#chunk")
    assert "0 failures and 0 crashes" in browser.text("#chunk")
    assert _logged(browser, why) == ["give"]


def test_a_license_is_given_more_weight(browser, house, running):
    why = "a large customer"
    browser.open("/console/queues")
    _act(browser, f"act/weight/{LICENSE}", why, weight="2.5")
    row = f"tr:has(a[href*='act/weight/{LICENSE}'])"
    assert "2.5" in browser.text(row)
    assert _logged(browser, why) == ["set"]


def test_a_worker_is_drained_and_let_work_again(browser, house, jobs):
    why = "its machine is mended"
    browser.open("/console/workers")
    _act(browser, "act/drain/", why)
    browser.see_after_reload("drained", "/console/workers")
    _act(browser, "act/undrain/", why)
    assert browser.all("a[href*='/act/undrain/']") == []
    assert _logged(browser, why) == ["undrain", "drain"]


@pytest.mark.parametrize("scope", ["everything", "license", "connection", "provider"])
def test_more_than_a_job_is_paused_and_resumed(browser, house, running, slow, scope):
    why = f"a pause of {scope}"
    subject, page = {
        "everything": ("", "/console/"),
        "license": (LICENSE, "/console/queues"),
        "connection": (slow, "/console/connections"),
        "provider": ("hunter", "/console/providers"),
    }[scope]
    browser.open(page)
    _act(browser, f"act/pause-scope/{scope}/{subject}", why)
    assert browser.path == page
    assert f"paused by {OPERATOR}" in browser.text("main")
    assert why in browser.text("main")
    if scope != "provider":
        browser.see_after_reload("Why it does not run", f"/console/jobs/{running}")
        assert "paused" in browser.text(".why")
    browser.open(page)
    _act(browser, f"act/resume-scope/{scope}/{subject}", why)
    # The overview is looked at once a second, for all who see it.
    until(lambda: why not in browser.text("main"))
    assert _logged(browser, why) == ["resume", "pause"]


def test_one_verb_for_all_that_a_filter_finds(browser, house, slow):
    why = "their contract ends"
    house.steer("PUT", f"/pauses/license/{LICENSE}")
    jobs = [house.push(LICENSE, f"Part {n}", slow, 3) for n in range(3)]
    browser.open(f"/console/jobs?kind=push&license={LICENSE}&text=Part")
    _act(browser, "act-on-all/cancel?", why)
    assert browser.path.startswith("/console/actions?bulk=")
    for job_id in jobs:
        house.reached(job_id, "cancelled")
        assert job_id in browser.text("main")
    house.steer("DELETE", f"/pauses/license/{LICENSE}")
    assert len(_logged(browser, why)) == 4
