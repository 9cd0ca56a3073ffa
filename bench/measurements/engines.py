"""The same contacts in other engines, with the same statements and parts."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import Export
from bench.measurements.session import Session
from bench.measurements.whole_export import bar_of, exported
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
from bench.rivals.chunk_task import slices
from bench.rivals.engines import EngineRun, engine

_CHUNK = 1000
_WARM = 4000
_GOALS = {"rows": 0.7, "columns": 1.15}
_STYLES = {"rows": "record by record", "columns": "by columns"}
_SIDES = [(name, style) for style in _STYLES for name in ("procrastinate", "dramatiq")]


class _Round(NamedTuple):
    now: Export
    engines: list[EngineRun]


def measure(session: Session) -> Section:
    """Run each engine and Holdfast in turn, engines warmed before."""
    count = session.sizes.records
    data = csv_of(count)
    warm = session.file("warm.csv", csv_of(_WARM))
    path, places = session.file("contacts.csv", data), slices(data, _CHUNK)

    def one_engine(name: str, style: str) -> EngineRun:
        with engine(name, session.rivals, style) as workers:
            for _ in range(2):
                workers.run(warm, _WARM, slices(warm.read_bytes(), _CHUNK))
            found = workers.run(path, count, places)
        say(f"{name} {_STYLES[style]}: {found.cpu_s:.2f} CPU s")
        return found

    def run(number: int) -> _Round:
        found = [one_engine(name, style) for name, style in _SIDES]
        now = exported(session.installation, data, count)
        say(
            f"round {number + 1}: Holdfast, submit to sealed: {now.run.cpu_s:.2f} CPU s"
        )
        return _Round(now, found)

    rounds = Rounds()
    found = rounds.of(session.sizes.rounds, run)
    bars = [bar_of("Holdfast, upload and quote too", [one.now for one in found], count)]
    figures = []
    for place, (name, style) in enumerate(_SIDES):
        theirs = [one.engines[place] for one in found]
        label = f"{name}, {_STYLES[style]}"
        figures += _figures(label, style, [one.now for one in found], theirs)
        bars.append(_bar(label, theirs, count))
    return Section(
        title="Other engines",
        sizes=f"{count:,} contacts as chunks of {_CHUNK:,}, submit to sealed file",
        figures=figures,
        unit="µs of CPU a contact",
        bars=bars,
        lost=rounds.lost,
    )


def _figures(
    label: str, style: str, ours: Sequence[Export], theirs: Sequence[EngineRun]
) -> list[Figure]:
    cpu, their_cpu = [one.run.cpu_s for one in ours], [one.cpu_s for one in theirs]
    wall, their_wall = [one.run.wall_s for one in ours], [one.wall_s for one in theirs]
    return [
        Figure(
            what=f"CPU, of {label}",
            values=quotients(cpu, their_cpu),
            goal=at_most(_GOALS[style]),
            absolute=f"{spread(cpu)} against {spread(their_cpu)} CPU s",
        ),
        Figure(
            what=f"wall, of {label}",
            values=quotients(wall, their_wall),
            absolute=f"{spread(wall)} against {spread(their_wall)} s",
        ),
    ]


def _bar(label: str, found: Sequence[EngineRun], count: int) -> Bar:
    return Bar(
        label=label,
        parts={
            "worker": [one.own_cpu_s / count * 1e6 for one in found],
            "postgres": [one.postgres_cpu_s / count * 1e6 for one in found],
            "valkey": [one.broker_cpu_s / count * 1e6 for one in found],
        },
    )
