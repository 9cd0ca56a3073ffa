"""The console's pages with a million ended jobs and with a thousand; who watches it."""

import re
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

import httpx

from bench.installations.copied_history import Past, make_past
from bench.installations.installation import Installation, installed
from bench.installations.meter import Meter
from bench.measurements.session import Session
from bench.report.figures import (
    Figure,
    Rounds,
    Section,
    at_most,
    quotients,
    say,
    spread,
)

_REQUESTS = 40
_WATCHERS = 10
_WATCHED_S = 30
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class _Side(NamedTuple):
    installation: Installation
    license: str
    browser: httpx.Client


def measure(session: Session) -> Section:
    """Open each page of both in turn, then let ten watch the overview of one."""
    sizes = session.sizes
    jobs = sizes.console_jobs
    few = max(10, jobs // 1_000)
    with ExitStack() as stack:
        sides = [
            _side(stack, session, Past(licenses=licenses, jobs=count, charges=count))
            for licenses, count in (
                (max(1, sizes.licenses // 1_000), few),  # As many jobs a license.
                (sizes.licenses, jobs),
            )
        ]
        pages = [_pages(side) for side in sides]
        for side, paths in zip(sides, pages, strict=True):
            _times(side, paths)  # The first fills caches.
        rounds = Rounds()
        found = rounds.of(
            sizes.rounds,
            lambda number: _round(number, sides, pages),
        )
        watched = [_watched(sides[0]) for _ in range(sizes.rounds)]
    figures = [
        Figure(
            what=f"{name}: wall, of that with {few:,} jobs",
            values=quotients(
                [many[name] for _, many in found], [few_[name] for few_, _ in found]
            ),
            goal=at_most(1.2),
            absolute=f"{spread([many[name] * 1000 for _, many in found])} ms",
        )
        for name in pages[0]
    ]
    figures.append(
        Figure(
            what=f"{_WATCHERS} who watch: CPU of API and PostgreSQL, of a core",
            values=watched,
            goal=at_most(0.02),
        )
    )
    return Section(
        title="The console",
        sizes=f"{jobs:,} ended jobs against {few:,}; {_REQUESTS} requests a page",
        figures=figures,
        lost=rounds.lost,
    )


def _side(stack: ExitStack, session: Session, past: Past) -> _Side:
    installation = stack.enter_context(installed(session.build, persons=10))
    license_ = make_past(installation, past)
    browser = stack.enter_context(
        httpx.Client(base_url=installation.url, timeout=60, follow_redirects=True)
    )
    token = _TOKEN.findall(browser.get("/console/sign-in").text)[-1]
    form = {"csrf_token": token, "key": installation.key}
    browser.post("/console/sign-in", data=form).raise_for_status()
    return _Side(installation, license_, browser)


def _pages(side: _Side) -> dict[str, str]:
    """The pages by name; the job is the newest that the list shows."""
    listed = side.browser.get("/console/jobs?state=succeeded").text
    job = re.findall(r'href="/console/jobs/([^"?]+)"', listed)[0]
    oldest = re.findall(r'href="/console/jobs/([^"?]+)"', listed)[-1]
    return {
        "overview": "/console/",
        "jobs": "/console/jobs",
        "jobs of a license": f"/console/jobs?license={side.license}",
        "jobs by state and day": "/console/jobs?state=failed&from=2020-01-01",
        "jobs, an older page": f"/console/jobs?before={oldest}",
        "a job": f"/console/jobs/{job}",
        "queues": "/console/queues",
        "workers": "/console/workers",
        "connections": "/console/connections",
        "providers": "/console/providers",
        "action log": "/console/actions",
    }


def _round(
    number: int, sides: list[_Side], pages: list[dict[str, str]]
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    few, many = (_times(*each) for each in zip(sides, pages, strict=True))
    say(f"round {number}: {_shown(few)} with few, {_shown(many)} with many")
    return few, many


def _shown(times: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {1000 * one:.0f} ms" for name, one in times.items())


def _times(side: _Side, paths: Mapping[str, str]) -> dict[str, float]:
    """The median time of each page, asked in turn."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(_REQUESTS):
        for name, path in paths.items():
            began_s = time.perf_counter()
            side.browser.get(path).raise_for_status()
            taken[name].append(time.perf_counter() - began_s)
    return {name: median(times) for name, times in taken.items()}


def _watched(side: _Side) -> float:
    """What watchers add to the CPU of API and PostgreSQL, in shares of a core."""
    return _used(side, watchers=_WATCHERS) - _used(side, watchers=0)


def _used(side: _Side, *, watchers: int) -> float:
    ended = threading.Event()
    threads = [
        threading.Thread(target=_watch, args=(side, ended), daemon=True)
        for _ in range(watchers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(2)
    with Meter(side.installation) as used:
        time.sleep(_WATCHED_S)
    ended.set()
    for thread in threads:
        thread.join(5)
    roles = used.by_role
    return (roles.get("api", 0) + roles.get("postgres", 0)) / _WATCHED_S


def _watch(side: _Side, ended: threading.Event) -> None:
    with (
        httpx.Client(
            base_url=side.installation.url, cookies=side.browser.cookies
        ) as http,
        http.stream("GET", "/console/live", timeout=60) as stream,
    ):
        for _ in stream.iter_lines():
            if ended.is_set():
                return
