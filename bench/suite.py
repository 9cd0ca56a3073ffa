"""All measurements by their names, and one run of some of them."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.installations.installation import Differs
from bench.measurements import (
    api_memory,
    console_pages,
    engines,
    growth,
    history,
    latency,
    pushes,
    settlement,
    small_jobs,
    start_and_rest,
    uploads_and_quotes,
    usual_celery,
    whole_export,
)
from bench.measurements.finance import reconciliation
from bench.measurements.formats import read_formats, workbooks
from bench.measurements.session import Session
from bench.report.figures import Section, say
from bench.report.sizes import Sizes

Measurement = Callable[[Session], Section]
Keep = Callable[[dict[str, Any]], None]

MEASUREMENTS: dict[str, Measurement] = {
    # Before anything has been written: what follows would have it vacuum.
    "start": start_and_rest.measure,
    "export": whole_export.measure,
    "engines": engines.measure,
    "celery": usual_celery.measure,
    "settlement": settlement.measure,
    "quotes": uploads_and_quotes.measure,
    "latency": latency.measure,
    "small": small_jobs.measure,
    "push": pushes.measure,
    "workbooks": workbooks.measure,
    "read-formats": read_formats.measure,
    "memory": api_memory.measure,
    "growth": growth.measure,
    "history": history.measure,
    "console": console_pages.measure,
    "reconcile": reconciliation.measure,
}


def persons_of(names: Sequence[str], sizes: Sizes) -> int:
    """How many persons the directories must know."""
    wanted = {"growth": sizes.big, "latency": sizes.beside}
    return max(sizes.records, sizes.small, *(wanted.get(name, 0) for name in names))


def run(
    names: Sequence[str], sizes: Sizes, against: str | None, keep: Keep
) -> list[str]:
    """Run measurements one after the other, and have each kept at once.

    Returns those of which nothing counts, for a total was not what it must be.
    """
    differing: list[str] = []
    persons = persons_of(names, sizes)
    with Session(sizes=sizes, persons=persons, against=against) as session:
        for name in names:
            print(f"== {name}", flush=True)
            began_s, load = time.monotonic(), os.getloadavg()[0]
            try:
                section = MEASUREMENTS[name](session)
            except Differs as error:
                say(f"does not count: {error}")
                differing.append(name)
                continue
            show(section)
            made = _made(session, round(time.monotonic() - began_s), load)
            keep({name: section.as_json() | {"run": made}})
    return differing


def _made(session: Session, took_s: int, load: float) -> dict[str, Any]:
    """When and on what a measurement was made."""
    return {
        "commit": session.build.commit,
        "against": session.build_before and session.build_before.commit,
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "took_s": took_s,
    }


def show(section: Section) -> None:
    """Print a section's figures."""
    print(f"\n{section.title}: {section.sizes}")
    for figure in section.figures:
        goal = f"  (goal {figure.goal})" if figure.goal else ""
        print(f"  {figure.what}: {figure}{goal}  [{figure.absolute}]")
    for lost in section.lost:
        print(f"  does not count: {lost}")
    print(flush=True)
