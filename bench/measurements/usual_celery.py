"""The usual Celery way, of which few contacts are run and scaled, against Holdfast."""

from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import Export
from bench.measurements.session import Session
from bench.measurements.whole_export import bar_of, exported
from bench.report.figures import Bar, Figure, Rounds, Section, at_least, quotients, say
from bench.rivals.engines import EngineRun, engine

_WARM = 40


class _Round(NamedTuple):
    naive: EngineRun
    now: Export


def measure(session: Session) -> Section:
    """Run a task a contact, then a whole export, in turn."""
    naive, count = session.sizes.naive, session.sizes.records
    warm = session.file("warm.csv", csv_of(_WARM))
    few, data = session.file("few.csv", csv_of(naive)), csv_of(count)
    rounds = Rounds()
    with engine("celery", session.rivals) as workers:
        workers.run(warm, _WARM, [])

        def run(number: int) -> _Round:
            theirs = workers.run(few, naive, [])
            now = exported(session.installation, data, count)
            say(
                f"round {number + 1}: {theirs.cpu_s / naive * 1e6:,.0f} µs a contact, "
                f"Holdfast {now.whole.cpu_s / count * 1e6:.0f}"
            )
            return _Round(theirs, now)

        found = rounds.of(session.sizes.rounds, run)
    theirs = [one.naive.cpu_s / naive * 1e6 for one in found]
    ours = [one.now.whole.cpu_s / count * 1e6 for one in found]
    return Section(
        title="The usual Celery way",
        sizes=f"{naive:,} contacts by a task each, against {count:,} by Holdfast",
        figures=[
            Figure(
                what="its CPU a contact, of Holdfast's",
                values=quotients(theirs, ours),
                goal=at_least(50),
            )
        ],
        unit="µs of CPU a contact",
        bars=[
            bar_of("Holdfast", [one.now for one in found], count),
            Bar(label="a task a contact", parts={"all": theirs}),
        ],
        lost=rounds.lost,
    )
