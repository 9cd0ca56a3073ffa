"""Jobs of one record from twenty clients at once, on one license."""

import time
from dataclasses import dataclass

from bench.installations.installation import Installation
from bench.installations.process_tree import cpu_by_role, since
from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_least,
    quotients,
    say,
    spread,
)
from bench.rivals.side_processes import run_module, serving

_CLIENTS = "20"
_BARE_TIMES = 4
"""The bare endpoint is asked for more jobs, to run about as long."""
_LOOK_S = 0.1
_CLIENT_MODULE = "bench.rivals.concurrent_clients"
_BARE_MODULE = "bench.rivals.bare_endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsRun:
    """What one round of one side gave."""

    rate: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Of API and PostgreSQL, a job."""
    ended_rate: float = 0.0
    """Jobs run to their end a second, from the first submit to the last end."""


def measure(session: Session) -> Section:
    """Run the bare endpoint, this build in both ways, and the earlier build in turn."""
    jobs = session.sizes.jobs

    def run(number: int) -> dict[str, ClientsRun]:
        found = {
            "bare endpoint": _bare(session, jobs * _BARE_TIMES),
            "quote, then submit": run_jobs(session.installation, jobs, "quote"),
            "submit at once": run_jobs(session.installation, jobs, "submit"),
        }
        if session.before:
            found["earlier build"] = run_jobs(session.before, jobs, "quote")
        for name, one in found.items():
            say(
                f"round {number + 1}: {name}: {one.rate:.0f} a second accepted, "
                f"{one.ended_rate:.1f} ended, {one.cpu_ms:.2f} CPU ms a job"
            )
        session.installation.audit()
        if session.before:
            session.before.audit()
        return found

    rounds = Rounds()
    found = rounds.of(session.sizes.rounds, run)
    sides = {name: [one[name] for one in found] for name in found[0]}
    bare = sides["bare endpoint"]
    figures: list[Figure] = []
    for name in ("quote, then submit", "submit at once"):
        figures += _accepted(name, sides[name], bare)
    figures += _ended(sides["quote, then submit"], sides.get("earlier build"))
    bars = [
        Bar(label=name, parts={"api and postgres": [one.cpu_ms for one in runs]})
        for name, runs in sides.items()
    ]
    return Section(
        title="Small jobs",
        sizes=f"{jobs:,} jobs of one record, {_CLIENTS} clients, one license",
        figures=figures,
        unit="ms of CPU a job (the workers' part of PostgreSQL with it)",
        bars=bars,
        lost=rounds.lost,
    )


def _accepted(
    name: str, ours: list[ClientsRun], bare: list[ClientsRun]
) -> list[Figure]:
    rate, bare_rate = [one.rate for one in ours], [one.rate for one in bare]
    cpu, bare_cpu = [one.cpu_ms for one in ours], [one.cpu_ms for one in bare]
    return [
        Figure(
            what=f"{name}: accepted a second, of one endpoint with UPDATE and INSERT",
            values=quotients(rate, bare_rate),
            goal=at_least(0.3),
            absolute=f"{spread(rate)} against {spread(bare_rate)} a second; p50 "
            f"{spread([one.p50_ms for one in ours])} ms, p95 "
            f"{spread([one.p95_ms for one in ours])} ms",
        ),
        Figure(
            what=f"{name}: CPU of API and PostgreSQL a job, of the same",
            held="small.cpu" if name == "quote, then submit" else "",
            values=quotients(cpu, bare_cpu),
            absolute=f"{spread(cpu)} against {spread(bare_cpu)} ms",
        ),
    ]


def _ended(ours: list[ClientsRun], before: list[ClientsRun] | None) -> list[Figure]:
    rate = [one.ended_rate for one in ours]
    if before is None:
        return [Figure(what="run to their end", values=rate, unit="a second")]
    before_rate = [one.ended_rate for one in before]
    return [
        Figure(
            what="run to their end a second, of the earlier build",
            values=quotients(rate, before_rate),
            goal=at_least(4),
            absolute=f"{spread(rate)} against {spread(before_rate)} a second",
        )
    ]


def run_jobs(installation: Installation, jobs: int, mode: str) -> ClientsRun:
    """Have all clients submit their jobs, and wait until all have ended."""
    license_, before = installation.new_license(), cpu_by_role(installation.pid)
    began_s = time.perf_counter()
    words = (installation.url, installation.key, license_, _CLIENTS, str(jobs), mode)
    found = run_module(_CLIENT_MODULE, *words)
    used = since(cpu_by_role(installation.pid), before)
    _drain(installation)
    return ClientsRun(
        rate=found["rate"],
        p50_ms=found["p50_s"] * 1e3,
        p95_ms=found["p95_s"] * 1e3,
        cpu_ms=(used.get("api", 0) + used.get("postgres", 0)) / jobs * 1e3,
        ended_rate=jobs / (time.perf_counter() - began_s),
    )


def _drain(installation: Installation) -> None:
    """Wait until no job is open any more."""
    while installation.rows("SELECT 1 FROM jobs WHERE finished_at IS NULL LIMIT 1"):
        time.sleep(_LOOK_S)


def _bare(session: Session, jobs: int) -> ClientsRun:
    rivals, installation = session.rivals, session.installation
    installation.rows(
        "CREATE TABLE IF NOT EXISTS rival_small (id text PRIMARY KEY, license_id text,"
        " credits integer, body jsonb, made_at timestamptz DEFAULT now())",
        database="rivals",
    )
    payer = rivals.new_job(10)
    with serving(
        _BARE_MODULE,
        installation.folder,
        str(payer.period_id),
        RIVAL_DATABASE=rivals.url,
    ) as (pid, port):
        url = f"http://127.0.0.1:{port}"
        words = (url, "none", payer.license_id, _CLIENTS)
        run_module(_CLIENT_MODULE, *words, "40", "submit")
        servers, own = cpu_by_role(installation.pid), cpu_by_role(pid)
        found = run_module(_CLIENT_MODULE, *words, str(jobs), "submit")
        used = since(cpu_by_role(installation.pid), servers).get("postgres", 0)
        used += sum(since(cpu_by_role(pid), own).values())
    return ClientsRun(
        rate=found["rate"],
        p50_ms=found["p50_s"] * 1e3,
        p95_ms=found["p95_s"] * 1e3,
        cpu_ms=used / jobs * 1e3,
    )
