"""A push to an endpoint without limits against a bare loop with the same batches."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import submitted, upload_of
from bench.installations.installation import Differs, Installation
from bench.installations.meter import Meter, Usage
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
from bench.rivals.bare_push import SECRET
from bench.rivals.side_processes import run_module

_BATCH = 500


class _Round(NamedTuple):
    bare_wall_s: float
    bare_cpu_s: float
    ours: Usage


def measure(session: Session) -> Section:
    """Push by the bare loop and by Holdfast in turn, into the same sandbox."""
    count, installation = session.sizes.push, session.installation
    data = csv_of(count)
    path = session.file("push.csv", data)

    def run(number: int) -> _Round:
        bare = _bare(f"{url}/webhook", path)
        ours = pushed(installation, url, data, count)
        say(
            f"round {number + 1}: bare loop {bare['wall_s']:.2f} s, "
            f"Holdfast {ours.wall_s:.2f} s, {ours.cpu_s:.2f} CPU s"
        )
        return _Round(bare["wall_s"], bare["cpu_s"], ours)

    rounds = Rounds()
    with sandbox(installation) as url:
        found = rounds.of(session.sizes.rounds, run)
    return Section(
        title="Push",
        sizes=f"{count:,} persons to a webhook without limits, submit to end",
        figures=_figures(found, count),
        unit="µs of CPU a record",
        bars=_bars(found, 1e6 / count),
        lost=rounds.lost,
    )


def _figures(found: list[_Round], count: int) -> list[Figure]:
    rate = [count / one.ours.wall_s for one in found]
    bare_rate = [count / one.bare_wall_s for one in found]
    cpu, bare_cpu = [one.ours.cpu_s for one in found], [one.bare_cpu_s for one in found]
    return [
        Figure(
            what="records a second, of a bare loop with the same batches",
            values=quotients(rate, bare_rate),
            goal=at_least(0.25),
            absolute=f"{spread(rate)} against {spread(bare_rate)} a second",
        ),
        Figure(
            what="CPU, of the same (the endpoint's left out)",
            held="push.cpu",
            values=quotients(cpu, bare_cpu),
            absolute=f"{spread(cpu)} against {spread(bare_cpu)} CPU s",
        ),
    ]


def _bars(found: list[_Round], micro: float) -> list[Bar]:
    roles = ("worker", "postgres", "api", "dispatcher")
    ours = {
        role: [one.ours.by_role.get(role, 0) * micro for one in found] for role in roles
    }
    bare = [one.bare_cpu_s * micro for one in found]
    return [
        Bar(label="bare loop", parts={"own": bare}),
        Bar(label="Holdfast", parts=ours),
    ]


def _bare(url: str, path: Path) -> dict[str, float]:
    found: dict[str, float] = run_module(
        "bench.rivals.bare_push", url, str(path), str(_BATCH)
    )
    return found


def pushed(
    installation: Installation,
    url: str,
    data: bytes,
    count: int,
    *,
    audited: bool = True,
) -> Usage:
    """Push `count` persons to a sandbox's webhook; what it took from the submit on.

    Raises `Differs` where not all were delivered, or the ledger's audit fails.
    """
    license_ = installation.new_license()
    connection = {
        "license": license_,
        "connector": "webhook",
        "name": "sandbox",
        "settings": {"url": f"{url}/webhook"},
        "secrets": {"signing_secret": SECRET},
    }
    id_ = installation.ask("POST", "/v1/connections", connection)["id"]
    upload = upload_of(installation, license_, data)
    asked = {"kind": "push", "license": license_, "user": "ada", "upload": upload}
    how = {"retrieve": [], "push": {"connection": id_}}
    quote = installation.ask("POST", "/v1/quotes", asked | how)["id"]
    with Meter(installation) as used:
        job = submitted(installation, quote)
        installation.wait(job)
    done = installation.ask("GET", f"/v1/jobs/{job}")
    if done["progress"]["delivered"] != count:
        raise Differs(f"{job}: delivered {done['progress']['delivered']} of {count}")
    if audited:
        installation.audit()
    return used


@contextmanager
def sandbox(installation: Installation) -> Iterator[str]:
    """The product's own stand-in of a CRM, answering at once; its address."""
    command = (installation.build.holdfast, "sandbox", "--latency-ms", "0")
    with (installation.folder / "sandbox.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=installation.folder,
            env=installation.env,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
