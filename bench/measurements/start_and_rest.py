"""`up` from nothing to ready, and what it holds and uses at rest."""

import resource
import time
from statistics import median
from typing import NamedTuple

from bench.installations.builds import Build
from bench.installations.installation import Installation, installed
from bench.installations.meter import Meter, Usage
from bench.installations.process_tree import Memory, cpu_by_role, memory_by_role
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
from bench.rivals.side_processes import run_module

_COMMANDS = 3
_SETTLED_S = 10.0
"""After so long the first audit is over, and first reports are made."""


class _Rest(NamedTuple):
    ready_s: float
    start_cpu_s: float
    command_cpu_s: float
    """Of `holdfast balance` beside it."""
    memory: dict[str, Memory]
    idle: Usage

    @property
    def pss_mib(self) -> float:
        """Of all processes together."""
        return sum(one.pss_mib for one in self.memory.values())

    @property
    def idle_share(self) -> float:
        """Of one core, in percent."""
        return self.idle.cpu_s / self.idle.wall_s * 100


class _Round(NamedTuple):
    libraries: dict[str, float]
    now: _Rest
    before: _Rest | None


def measure(session: Session) -> Section:
    """Start each build on an empty home in turn, and look at it at rest."""
    idle_s = float(session.sizes.idle_s)

    def run(number: int) -> _Round:
        earlier = session.build_before
        found = _Round(
            _libraries(),
            _rest(session.build, idle_s),
            _rest(earlier, idle_s) if earlier else None,
        )
        for name, one in (("Holdfast", found.now), ("before", found.before)):
            if one:
                say(
                    f"round {number + 1}: {name}: ready after {one.ready_s:.1f} s, "
                    f"{one.pss_mib:.0f} MiB, idle {one.idle_share:.2f} % of a core"
                )
        return found

    rounds = Rounds()
    found = rounds.of(session.sizes.starts, run)
    now = [one.now for one in found]
    before = [one.before for one in found if one.before]
    bars = [_bar("Holdfast", now), *([_bar("earlier build", before)] if before else [])]
    return Section(
        title="Start and rest",
        sizes=f"an empty home; {idle_s:.0f} s at rest",
        figures=[
            *_alone(now, [one.libraries for one in found]),
            *(_against(now, before) if before else []),
        ],
        unit="MiB (PSS) at rest",
        bars=bars,
        lost=rounds.lost,
    )


def _libraries() -> dict[str, float]:
    """CPU seconds and memory of Python with what any such stack would import.

    A measure of the machine, for what has no rival.
    """
    found: dict[str, float] = run_module("bench.rivals.library_imports")
    return found


def _rest(build: Build, idle_s: float) -> _Rest:
    with installed(build) as installation:
        start_cpu_s = sum(cpu_by_role(installation.pid).values())
        time.sleep(_SETTLED_S)
        with Meter(installation) as idle:
            time.sleep(idle_s)
        memory = memory_by_role(installation.pid)
        ready_s = installation.ready_after_s
        license_ = installation.new_license()
        commands = [_cpu_of(installation, license_) for _ in range(_COMMANDS)]
        return _Rest(ready_s, start_cpu_s, median(commands), memory, idle)


def _cpu_of(installation: Installation, license_: str) -> float:
    """CPU seconds of a command beside an installation that is up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    installation.run("balance", license_)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _alone(now: list[_Rest], libraries: list[dict[str, float]]) -> list[Figure]:
    start_s, mib = [one.start_cpu_s for one in now], [one.pss_mib for one in now]
    command_s = [one.command_cpu_s for one in now]
    import_s = [one["cpu_s"] for one in libraries]
    import_mib = [one["mib"] for one in libraries]
    return [
        Figure(
            what="`up`, nothing to ready",
            values=[one.ready_s for one in now],
            unit="s",
        ),
        Figure(
            what="its CPU, of Python importing the libraries once",
            held="start.cpu",
            values=quotients(start_s, import_s),
            absolute=f"{spread(start_s)} against {spread(import_s)} CPU s",
        ),
        Figure(
            what="CPU of `holdfast balance`, of the same",
            held="command.cpu",
            values=quotients(command_s, import_s),
            absolute=f"{spread(command_s)} against {spread(import_s)} CPU s",
        ),
        Figure(
            what="memory at rest, of one Python with the libraries",
            held="rest.memory",
            values=quotients(mib, import_mib),
            absolute=f"{spread(mib)} against {spread(import_mib)} MiB",
        ),
        Figure(
            what="CPU at rest",
            values=[one.idle_share for one in now],
            unit="% of a core",
        ),
    ]


def _against(now: list[_Rest], before: list[_Rest]) -> list[Figure]:
    sides = (
        (
            "`up`, nothing to ready",
            "s",
            0.5,
            [one.ready_s for one in before],
            [one.ready_s for one in now],
        ),
        (
            "memory at rest",
            "MiB",
            0.5,
            [one.pss_mib for one in before],
            [one.pss_mib for one in now],
        ),
        (
            "CPU at rest",
            "% of a core",
            1.0,
            [one.idle_share for one in before],
            [one.idle_share for one in now],
        ),
    )
    return [
        Figure(
            what=f"{what}, of the earlier build",
            values=quotients(ours, theirs),
            goal=at_most(goal),
            absolute=f"{spread(ours)} against {spread(theirs)} {unit}",
        )
        for what, unit, goal, theirs, ours in sides
    ]


def _bar(label: str, found: list[_Rest]) -> Bar:
    roles = sorted({role for one in found for role in one.memory})
    return Bar(
        label=label,
        parts={
            role: [
                one.memory[role].pss_mib if role in one.memory else 0 for one in found
            ]
            for role in roles
        },
    )
