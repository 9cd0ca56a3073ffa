"""What a long past costs the present: the same requests with it and nearly without."""

import time
from contextlib import ExitStack
from typing import NamedTuple

from bench.installations.contacts import CONTACTS_A_COMPANY, csv_of
from bench.installations.copied_history import Past, make_past
from bench.installations.exports import check_totals, quote_of, submitted, upload_of
from bench.installations.installation import Installation, installed
from bench.installations.meter import Meter, Usage
from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_most,
    quotients,
    say,
    spread,
)

_LICENSES = 2
"""Of the nearly empty tables; each has as many jobs as in the long past."""

_CONTACTS_MAX = 20_000
"""Of the job that is quoted and settled: the directory knows others for each round."""

_QUOTES = 5
_REQUESTS = 200
_NAMES = ("quote", "settle", "balance", "job list")


class _Side(NamedTuple):
    installation: Installation
    license: str


class _Costs(NamedTuple):
    """CPU seconds of API and PostgreSQL for each of the names."""

    quote: float
    settle: float
    balance: float
    job_list: float


def measure(session: Session) -> Section:
    """Fill the tables of one installation, few of another, and ask both in turn."""
    sizes = session.sizes
    count = min(sizes.records, _CONTACTS_MAX) // CONTACTS_A_COMPANY * CONTACTS_A_COMPANY
    past = Past(licenses=sizes.licenses, jobs=sizes.ended, charges=sizes.history)
    share = _LICENSES / sizes.licenses
    little = Past(
        licenses=_LICENSES,
        jobs=max(_LICENSES, round(sizes.ended * share)),
        charges=max(10, round(sizes.history * share)),
    )
    rounds = Rounds()
    with ExitStack() as stack:
        persons = count * (sizes.rounds + 1)
        sides = [
            _side(stack.enter_context(installed(session.build, persons=persons)), one)
            for one in (little, past)
        ]

        def run(number: int) -> tuple[_Costs, _Costs]:
            few, many = (_costs(side, count, number) for side in sides)
            say(f"round {number}: {few} with few, {many} with many")
            return few, many

        # The first fills the caches of both.
        found = rounds.of(sizes.rounds + 1, run)[1:]
        for side in sides:
            side.installation.audit()
    few, many = zip(*found, strict=True)
    return Section(
        title="A long past",
        sizes=(
            f"{past.charges:,} charges, {past.licenses:,} licenses, {past.jobs:,} "
            f"ended jobs against {little.charges:,}, {little.licenses} and "
            f"{little.jobs:,}; {count:,} contacts, {_REQUESTS} requests"
        ),
        figures=[
            _figure(name, [one[at] for one in many], [one[at] for one in few])
            for at, name in enumerate(_NAMES)
        ],
        unit="CPU s of API and PostgreSQL",
        bars=[
            Bar(label=f"{name}, {side}", parts={"all": [one[at] for one in costs]})
            for at, name in enumerate(_NAMES)
            for side, costs in (("few", few), ("many", many))
        ],
        lost=rounds.lost,
    )


def _side(installation: Installation, past: Past) -> _Side:
    began_s = time.monotonic()
    license_ = make_past(installation, past)
    say(f"{past.charges:,} charges made in {time.monotonic() - began_s:.0f} s")
    return _Side(installation, license_)


def _figure(name: str, many: list[float], few: list[float]) -> Figure:
    return Figure(
        what=f"{name}: CPU, of that with nearly empty tables",
        values=quotients(many, few),
        goal=at_most(1.2),
        absolute=f"{spread(many)} against {spread(few)} CPU s",
    )


def _costs(side: _Side, count: int, number: int) -> _Costs:
    """Export for a license with a past; ask for its balance and its jobs."""
    installation, license_ = side
    # In each round others, which the license has not had before.
    upload = upload_of(installation, license_, csv_of(count, count * number))
    with Meter(installation) as quoting:
        quotes = [quote_of(installation, license_, upload) for _ in range(_QUOTES)]
    with Meter(installation) as running:
        job = submitted(installation, quotes[-1])
        installation.wait(job)
    check_totals(installation, job, count)
    balance = _asked(installation, f"/v1/licenses/{license_}/balance")
    jobs = _asked(installation, f"/v1/jobs?license={license_}")
    settle_s = running.by_role.get("postgres", 0)
    return _Costs(_served(quoting), settle_s, _served(balance), _served(jobs))


def _asked(installation: Installation, path: str) -> Usage:
    with Meter(installation) as used:
        for _ in range(_REQUESTS):
            installation.ask("GET", path)
    return used


def _served(used: Usage) -> float:
    return used.by_role.get("api", 0) + used.by_role.get("postgres", 0)
