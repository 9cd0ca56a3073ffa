"""A job of 10 records, submit to sealed file: alone, and beside a large one."""

import random
import time
from dataclasses import dataclass, field
from secrets import token_hex
from statistics import median

from bench.installations.contacts import csv_of
from bench.installations.exports import check_totals, quote_of, submitted, upload_of
from bench.installations.installation import Installation
from bench.measurements.session import Session
from bench.report.figures import Bar, Figure, Section, at_most, percentile, say

_RECORDS = 10
_LOOK_S = 0.005
_PAUSE_S = 0.2
_WARM = 3


@dataclass(slots=True)
class _Side:
    """One build, and what its small jobs took."""

    label: str
    installation: Installation
    license: str
    persons: int
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)

    def one_job(self) -> float:
        """Submit a job with its records and wait for its file; milliseconds."""
        person = random.randrange
        body = {
            "kind": "export",
            "license": self.license,
            "user": "ada",
            "retrieve": ["phone"],
            "records": [
                {
                    "company": {"id": token_hex(8)},
                    "person": {"id": f"person-{person(self.persons):08d}"},
                }
                for _ in range(_RECORDS)
            ],
        }
        began_s = time.perf_counter()
        job = self.installation.ask("POST", "/v1/jobs", body)["id"]
        self.installation.wait(job, look_s=_LOOK_S)
        return (time.perf_counter() - began_s) * 1e3


def measure(session: Session) -> Section:
    """Time jobs of both builds in turn, then those beside a large one."""
    sizes = session.sizes
    sides = [_side("Holdfast", session.installation, session.persons)]
    if session.before:
        sides.append(_side("earlier build", session.before, session.persons))
    for _ in range(_WARM):
        for side in sides:
            side.one_job()
    for _ in range(sizes.latency):
        for side in sides:
            side.alone_ms.append(side.one_job())
            # Not at the moment at which the one before ended.
            time.sleep(random.random() * _PAUSE_S)  # noqa: S311 - no secret
    for side in sides:
        _beside(side, sizes.beside, sizes.latency)
        say(
            f"{side.label}: alone p50 {median(side.alone_ms):.0f} ms, beside "
            f"{median(side.beside_ms):.0f} ms ({len(side.beside_ms)} jobs)"
        )
    now, before = sides[0], sides[-1]
    return Section(
        title="Latency of small jobs",
        sizes=(
            f"{sizes.latency} jobs of {_RECORDS} records, and "
            f"{len(now.beside_ms)} beside a job of {sizes.beside:,}"
        ),
        figures=[
            *_alone(now, before),
            Figure(
                what=f"p95 beside a job of {sizes.beside:,}, of that alone",
                values=[_p95(now.beside_ms) / _p95(now.alone_ms)],
                goal=at_most(1.5),
                absolute=f"p50 {median(now.beside_ms):.0f} ms, "
                f"p95 {_p95(now.beside_ms):.0f} ms",
            ),
        ],
        unit="ms",
        bars=[
            bar
            for side in sides
            for bar in (
                Bar(label=f"{side.label}, alone", parts={"time": side.alone_ms}),
                Bar(label=f"{side.label}, beside", parts={"time": side.beside_ms}),
            )
        ],
    )


def _side(label: str, installation: Installation, persons: int) -> _Side:
    return _Side(label, installation, installation.new_license(), persons)


def _p95(values: list[float]) -> float:
    return percentile(values, 0.95)


def _alone(now: _Side, before: _Side) -> list[Figure]:
    found = [
        Figure(
            what="alone, p50",
            values=[median(now.alone_ms)],
            unit="ms",
            goal=at_most(60),
        ),
        Figure(
            what="alone, p95", values=[_p95(now.alone_ms)], unit="ms", goal=at_most(100)
        ),
    ]
    if before is not now:
        found.append(
            Figure(
                what="alone, p50, of the earlier build's",
                values=[median(now.alone_ms) / median(before.alone_ms)],
                absolute=f"p50 {median(before.alone_ms):.0f} ms, "
                f"p95 {_p95(before.alone_ms):.0f} ms before",
            )
        )
    return found


def _beside(side: _Side, count: int, jobs: int) -> None:
    """Time small jobs while a large one of another license runs."""
    installation = side.installation
    license_ = installation.new_license()
    upload = upload_of(installation, license_, csv_of(count))
    large = submitted(installation, quote_of(installation, license_, upload))
    while len(side.beside_ms) < jobs and _runs(installation, large):
        took_ms = side.one_job()
        if _runs(installation, large) or not side.beside_ms:
            side.beside_ms.append(took_ms)
        time.sleep(random.random() * _PAUSE_S)  # noqa: S311 - no secret
    installation.wait(large)
    check_totals(installation, large, count)
    installation.audit()


def _runs(installation: Installation, job: str) -> bool:
    found = installation.rows("SELECT finished_at IS NULL FROM jobs WHERE id = %s", job)
    return bool(found[0][0])
