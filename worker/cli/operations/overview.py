"""What runs and waits on a terminal: `queues`, `top`."""

import sys
from threading import Event
from typing import TYPE_CHECKING

import click

from storage.operations.overview import OpenJob, Overview
from worker.cli.invocation import Cli, command
from worker.cli.servers import with_database
from worker.infrastructure.clock import wait
from worker.infrastructure.dependencies import Deps
from worker.operations import turn_order
from worker.operations.overview import OverviewLook, OverviewReport, look_once
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
        look = _look(deps)
        if once or not sys.stdout.isatty():
            Console().print(screen(look.report()))
            return
        never = Event()
        with Live(screen(look.report()), screen=True, auto_refresh=False) as live:
            while not wait(never, max(1.0, every_s)):
                live.update(screen(look.report()), refresh=True)


def _look(deps: Deps) -> OverviewLook:
    return OverviewLook(deps.settings, deps.database)


def screen(report: OverviewReport) -> "RenderableType":
    """The overview for a terminal."""
    from rich.console import Group  # noqa: PLC0415 - other commands need none of it

    found = report.found
    return Group(
        _head(found),
        _table("Jobs", _JOB_COLUMNS, [_job(report, job) for job in found.jobs]),
        _table("Queues", _QUEUE_COLUMNS, _queues(found)),
        _table("Processes", _PROCESS_COLUMNS, _processes(found)),
    )


_JOB_COLUMNS = ("job", "license", "state", "done", "records/s", "left", "credits")
_QUEUE_COLUMNS = ("queue", "waiting", "in broker", "running", "oldest", "empty in")
_PROCESS_COLUMNS = ("process", "role", "state", "chunks", "MiB", "heard of")


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


def _table(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - other commands need none of it

    table = Table(title=title, title_justify="left", box=None, expand=True)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < _WORDS else "right")
    for row in rows:
        table.add_row(*row)
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
