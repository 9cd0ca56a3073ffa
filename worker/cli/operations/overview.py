"""What runs and waits on a terminal: `queues`, `top`."""

import sys
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import click

from storage.operations import history
from storage.operations.overview import OpenJob, Overview
from worker.cli.invocation import Cli, command
from worker.cli.servers import with_database
from worker.infrastructure.clock import Stopwatch, instant, wait
from worker.infrastructure.dependencies import Deps
from worker.operations import turn_order
from worker.operations.overview import (
    OverviewLook,
    OverviewReport,
    ProviderState,
    look_once,
)
from worker.responses import queue_responses

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MINUTE_S, _HOUR_S = 60, 3_600


@command("queues")
def queues(cli: Cli) -> None:
    """Show what waits, for how long, and whose turn it is."""
    with with_database(cli) as deps:
        found = look_once(deps.settings, deps.database)
        turns = turn_order.license_turns(deps)
    lines = [
        f"{queue.name}: {queue.waiting:,} waiting, {queue.running:,} running, "
        f"the oldest for {queue.oldest_s:.0f} s"
        for queue in found.queues
    ]
    lines += [
        f"{turn.waiting.license_id}: {turn.waiting.chunks:,} waiting, weighs "
        f"{turn.waiting.weight:g}, goes within {turn.rounds:,} rounds"
        for turn in turns
    ]
    cli.answer(queue_responses.of_queues(found, turns), "\n".join(lines))


@command("top")
@click.option("--every", "every_s", default=1.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Show it once, and end.")
def top(cli: Cli, *, every_s: float, once: bool) -> None:
    """Show the overview, again and again until Ctrl-C."""
    from rich.console import Console  # noqa: PLC0415 - other commands need none of it
    from rich.live import Live  # noqa: PLC0415 - the same

    with with_database(cli) as deps:
        look, past = OverviewLook(deps.settings, deps.database), _Past(deps)

        def shown() -> "RenderableType":
            return screen(look.report(), past.sums())

        if once or not sys.stdout.isatty():
            Console().print(shown())
            return
        never = Event()
        with Live(shown(), screen=True, auto_refresh=False) as live:
            while not wait(never, max(1.0, every_s)):
                live.update(shown(), refresh=True)


class Sums(NamedTuple):
    """What happened in a stretch of time that ends now."""

    records: int
    failures: int
    credits: int


_SPANS = {"hour": (_HOUR_S, history.MINUTE_S), "day": (24 * _HOUR_S, _HOUR_S)}
_ADDED_UP_EVERY_S = 20.0


class _Past:
    """What the history comes to, added up now and then."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._since: Stopwatch | None = None
        self._sums: dict[str, Sums] = {}

    def sums(self) -> dict[str, Sums]:
        """By the names of the spans."""
        if self._since is None or self._since.elapsed_s >= _ADDED_UP_EVERY_S:
            self._sums = {name: self._sum(*span) for name, span in _SPANS.items()}
            self._since = Stopwatch()
        return self._sums

    def _sum(self, since_s: float, width_s: int) -> Sums:
        with self._deps.database.reading() as connection:
            points = history.series(connection, since_s=since_s, width_s=width_s)
        return Sums(
            sum(one.delivered + one.excluded + one.rejected for one in points),
            sum(one.chunk_failures + one.leases_expired for one in points),
            sum(one.credits_settled for one in points),
        )


def screen(report: OverviewReport, past: dict[str, Sums]) -> "RenderableType":
    """The overview for a terminal."""
    from rich.console import Group  # noqa: PLC0415 - other commands need none of it
    from rich.text import Text  # noqa: PLC0415 - the same

    found = report.found
    head = [_head(found), *_past(past), _upkeep(found), *_held(found)]
    return Group(
        # People name jobs and give reasons: none of it is markup.
        *map(Text, head),
        _table("Jobs", _JOB_COLUMNS, [_job(report, job) for job in found.jobs]),
        *map(Text, _more_jobs(found)),
        _table("Queues", _QUEUE_COLUMNS, _queues(found)),
        _table("Processes", _PROCESS_COLUMNS, _processes(found)),
        _table("Providers", _PROVIDER_COLUMNS, _providers(report)),
        *map(Text, _connections(report)),
    )


_JOB_COLUMNS = ("job", "license", "state", "done", "records/s", "left", "credits")
_QUEUE_COLUMNS = ("queue", "waiting", "in broker", "running", "oldest", "empty in")
_PROCESS_COLUMNS = ("process", "role", "state", "chunks", "MiB", "heard of")
_PROVIDER_COLUMNS = ("provider", "may be asked", "state", "for", "left just now")


def _head(found: Overview) -> str:
    counts = found.jobs_by_state.items()
    states = ", ".join(f"{count:,} {state}" for state, count in counts)
    violations = found.audit.violations
    broken = f", {violations} promises broken!" if violations else ""
    return (
        f"{found.at:%H:%M:%S} UTC  {states or 'no job is open'}  "
        f"{found.records_s:.1f} records/s  {found.credits_reserved:,} reserved  "
        f"outbox {found.outbox.waiting:,}, {found.outbox.failing:,} failing{broken}"
    )


def _past(past: dict[str, Sums]) -> list[str]:
    return [
        f"last {name}: {sums.records:,} records, {sums.failures:,} failures, "
        f"{sums.credits:,} credits settled"
        for name, sums in past.items()
    ]


def _upkeep(found: Overview) -> str:
    chores = [f"last {one.name} {_duration(one.age_s)} ago" for one in found.chores]
    audited = found.audit.audited_at
    audit = f"last audit {instant(audited)}" if audited else "never audited"
    return ", ".join([*(chores or ["never swept"]), audit])


def _held(found: Overview) -> list[str]:
    lines = [
        f"PAUSED {one.scope} {one.subject}".rstrip()
        + f" by {one.paused_by} since {instant(one.paused_at)}: {one.reason}"
        for one in found.pauses
    ]
    more = found.pauses_total - len(found.pauses)
    return [*lines, *([f"{more:,} more are paused"] if more else [])]


def _more_jobs(found: Overview) -> list[str]:
    return [f"{found.more_jobs:,} more are open"] if found.more_jobs > 0 else []


def _providers(report: OverviewReport) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            one.rate,
            _provider_state(one),
            _duration(one.pause.left_s if one.pause else None),
            ", ".join(
                f"{fill.left:,} of {fill.requests:,} in {_duration(fill.window_s)}"
                for fill in one.fills
            ),
        )
        for one in report.providers
    ]


def _provider_state(one: ProviderState) -> str:
    if one.held is not None:
        return f"paused by {one.held.paused_by}"
    if not one.is_known:
        return "not known: Redis does not answer"
    return one.pause.reason if one.pause else "asked"


def _connections(report: OverviewReport) -> list[str]:
    if report.connections is None:
        return ["which connections rest is not known: Redis does not answer"]
    shown = list(report.connections.items())[:_CONNECTIONS_SHOWN]
    lines = [
        f"connection {name} rests for {_duration(pause.left_s)}: {pause.reason}"
        for name, pause in shown
    ]
    more = len(report.connections) - len(shown)
    return [*lines, *([f"{more:,} more connections rest"] if more else [])]


_CONNECTIONS_SHOWN = 20


def _table(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - other commands need none of it
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(title=title, title_justify="left", box=None, expand=True)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < _WORDS else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


_WORDS = 3
"""So many columns hold words, all others numbers."""


def _job(report: OverviewReport, job: OpenJob) -> tuple[str, ...]:
    pace = report.pace(job)
    waits = f" ({job.waiting_reason})" if job.waiting_reason else ""
    share = job.done / job.records if job.records else 1
    return (
        job.name or job.id,
        job.license_id,
        f"{job.state}{waits}",
        f"{share:.0%} of {job.records:,}",
        "" if pace.records_s is None else f"{pace.records_s:.0f}",
        _duration(pace.left_s),
        f"{job.settled:,} of {job.reserved:,}",
    )


def _queues(found: Overview) -> list[tuple[str, ...]]:
    return [
        (
            queue.name,
            f"{queue.waiting:,}",
            f"{queue.dispatched:,}",
            f"{queue.running:,}",
            _duration(queue.oldest_s),
            _duration(queue.drains_in_s(found.records_s)),
        )
        for queue in found.queues
    ]


def _processes(found: Overview) -> list[tuple[str, ...]]:
    return [
        (
            one.id,
            one.role,
            str(one.state),
            f"{one.chunks:,}",
            "" if one.rss_bytes is None else f"{one.rss_bytes >> 20:,}",
            f"{one.seen_age_s:.0f} s ago",
        )
        for one in found.processes
    ]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


COMMANDS: tuple[click.Command, ...] = (queues, top)
