"""A whole export, upload to sealed file: the floor, this build, the earlier build."""

from typing import NamedTuple

from bench.installations import exports
from bench.installations.contacts import csv_of
from bench.installations.exports import Export
from bench.installations.installation import Differs, Installation
from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_least,
    at_most,
    quotients,
    say,
    spread,
)
from bench.rivals import one_process
from bench.rivals.one_process import Floor


class _Round(NamedTuple):
    floor: Floor
    now: Export
    before: Export | None


def measure(session: Session) -> Section:
    """Run the sides in turn; all files must be the same, byte for byte."""
    count = session.sizes.records
    data = csv_of(count)
    path = session.file("contacts.csv", data)

    def run(number: int) -> _Round:
        floor = one_process.export(session.rivals, path, count)
        now = exported(session.installation, data, count)
        before = exported(session.before, data, count) if session.before else None
        if {one.sha256 for one in (floor, now, before) if one} != {floor.sha256}:
            raise Differs("the files are not the same")
        say(
            f"round {number + 1}: one process {floor.cpu_s:.2f} CPU s, "
            f"Holdfast {now.whole.cpu_s:.2f}"
            + (f", before {before.whole.cpu_s:.2f}" if before else "")
        )
        return _Round(floor, now, before)

    rounds = Rounds()
    found = rounds.of(session.sizes.rounds, run)
    return Section(
        title="Whole export",
        sizes=f"{count:,} contacts, upload to sealed file",
        figures=[*_against_the_floor(found), *_against_before(found)],
        unit="µs of CPU a contact",
        bars=_bars(found, count),
        lost=rounds.lost,
    )


def exported(installation: Installation, data: bytes, count: int) -> Export:
    """One export after a checkpoint, so that none falls into it by chance."""
    installation.rows("CHECKPOINT")
    return exports.export(installation, data, count)


def _against_the_floor(found: list[_Round]) -> list[Figure]:
    floor_cpu = [one.floor.cpu_s for one in found]
    floor_wall = [one.floor.wall_s for one in found]
    cpu = [one.now.whole.cpu_s for one in found]
    wall = [one.now.whole.wall_s for one in found]
    run_cpu = [one.now.run.cpu_s for one in found]
    postgres = [one.now.whole.by_role.get("postgres", 0) for one in found]
    floor_postgres = [one.floor.postgres_cpu_s for one in found]
    wal = [one.now.whole.wal_bytes for one in found]
    return [
        Figure(
            what="speed by CPU, of one process that parses, copies, writes",
            held="export.cpu",
            values=quotients(floor_cpu, cpu),
            goal=at_least(0.85),
            absolute=f"{spread(floor_cpu)} against {spread(cpu)} CPU s",
        ),
        Figure(
            what="speed by wall, of the same",
            values=quotients(floor_wall, wall),
            goal=at_least(1.1),
            absolute=f"{spread(floor_wall)} against {spread(wall)} s",
        ),
        Figure(
            what="speed by CPU from submit to sealed, of the same",
            values=quotients(floor_cpu, run_cpu),
            absolute=f"{spread(run_cpu)} CPU s",
        ),
        Figure(
            what="PostgreSQL's CPU, of that for the copied rows",
            held="export.postgres",
            values=quotients(postgres, floor_postgres),
            absolute=f"{spread(postgres)} against {spread(floor_postgres)} CPU s",
        ),
        Figure(
            what="WAL, of that for the copied rows",
            held="export.wal",
            values=quotients(wal, [one.floor.wal_bytes for one in found]),
        ),
    ]


def _against_before(found: list[_Round]) -> list[Figure]:
    pairs = [(one.now.whole, one.before.whole) for one in found if one.before]
    if not pairs:
        return []
    now_cpu, before_cpu = zip(*((a.cpu_s, b.cpu_s) for a, b in pairs), strict=True)
    now_wall, before_wall = zip(*((a.wall_s, b.wall_s) for a, b in pairs), strict=True)
    return [
        Figure(
            what="CPU, of the earlier build side by side",
            values=quotients(now_cpu, before_cpu),
            goal=at_most(0.42),
            absolute=f"{spread(now_cpu)} against {spread(before_cpu)} CPU s",
        ),
        Figure(
            what="wall, of the earlier build side by side",
            values=quotients(now_wall, before_wall),
            absolute=f"{spread(now_wall)} against {spread(before_wall)} s",
        ),
    ]


def _bars(found: list[_Round], count: int) -> list[Bar]:
    bars = [
        Bar(
            label="one process",
            parts={
                "one process": [one.floor.own_cpu_s / count * 1e6 for one in found],
                "postgres": [one.floor.postgres_cpu_s / count * 1e6 for one in found],
            },
        ),
        bar_of("Holdfast", [one.now for one in found], count),
    ]
    before = [one.before for one in found if one.before]
    return [*bars, bar_of("earlier build", before, count)] if before else bars


def bar_of(label: str, found: list[Export], count: int) -> Bar:
    """What exports cost a contact, by role."""
    roles = ("api", "worker", "postgres", "dispatcher", "valkey", "up")
    return Bar(
        label=label,
        parts={
            role: [one.whole.by_role.get(role, 0) / count * 1e6 for one in found]
            for role in roles
        },
    )
