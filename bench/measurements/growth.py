"""A large export against small ones before and after it: cost a contact, memory."""

from statistics import median
from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import Export
from bench.installations.process_tree import PeakMemory
from bench.measurements.session import Session
from bench.measurements.whole_export import bar_of, exported
from bench.report.figures import Figure, Rounds, Section, at_most, say, short

_SMALL_RUNS = 2
"""Before the large one, and as often after it."""


class _Grown(NamedTuple):
    export: Export
    worker_mib: float
    micro: float
    """Of CPU a contact."""


def measure(session: Session) -> Section:
    """Run small exports, a large one, and small ones again."""
    small, big = session.sizes.small, session.sizes.big

    def one(count: int) -> _Grown:
        with PeakMemory(session.installation.pid) as peak:
            found = exported(session.installation, csv_of(count), count)
        micro = found.whole.cpu_s / count * 1e6
        say(f"{count:,}: {micro:.0f} µs, worker {peak.largest_mib('worker'):.0f} MiB")
        return _Grown(found, peak.largest_mib("worker"), micro)

    def run(_: int) -> tuple[list[_Grown], _Grown]:
        before = [one(small) for _ in range(_SMALL_RUNS)]
        large = one(big)
        return before + [one(small) for _ in range(_SMALL_RUNS)], large

    rounds = Rounds()
    found = rounds.of(max(1, session.sizes.rounds // 3), run)
    smalls, larges = (
        [one for ones, _ in found for one in ones],
        [one for _, one in found],
    )
    base = median([one.micro for one in smalls])
    memory = median([one.worker_mib for one in smalls])
    return Section(
        title="Growth",
        sizes=f"{big:,} contacts against {small:,}, through the workers",
        figures=[
            Figure(
                what=f"CPU a contact, of that at {small:,}",
                values=[one.micro / base for one in larges],
                goal=at_most(1.05),
                absolute=f"{short(median([one.micro for one in larges]))} against "
                f"{short(base)} µs",
            ),
            Figure(
                what=f"peak memory of a worker, of that at {small:,}",
                values=[one.worker_mib / memory for one in larges],
                goal=at_most(1.1),
                absolute=f"{short(median([one.worker_mib for one in larges]))} against "
                f"{short(memory)} MiB",
            ),
        ],
        unit="µs of CPU a contact",
        bars=[
            bar_of(f"{small:,}", [one.export for one in smalls], small),
            bar_of(f"{big:,}", [one.export for one in larges], big),
        ],
        lost=rounds.lost,
    )
