"""What was done, and what became of a job: `actions`, `timeline`."""

import click

from storage.operations import action_log, job_timeline
from storage.operations.action_log import Action, WantedActions
from storage.operations.job_timeline import Entry
from worker.cli.invocation import Cli, command
from worker.cli.progress import report_of
from worker.cli.servers import with_database
from worker.infrastructure import clock
from worker.responses import operation_responses


@command("actions")
@click.option("--license", "license_id", help="Of this license.")
@click.option("--job", "job_id", help="Of this job.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
def actions(
    cli: Cli, *, license_id: str | None, job_id: str | None, limit: int
) -> None:
    """List who did what and why, the newest first."""
    wanted = WantedActions(license_id=license_id, job_id=job_id)
    with with_database(cli) as deps, deps.database.reading() as connection:
        found = action_log.actions(connection, wanted, limit=limit)
    cli.answer(
        {"items": [operation_responses.of_action(one) for one in found], "next": None},
        "\n".join(_action_line(one) for one in found) or "no actions",
    )


def _action_line(action: Action) -> str:
    why = f": {action.reason}" if action.reason else ""
    return (
        f"{clock.instant(action.at)}  {action.actor} ({action.origin})  {action.verb}  "
        f"{action.target_kind} {action.target}{why}"
    )


@command("timeline")
@click.argument("job_id", metavar="ID")
def timeline(cli: Cli, *, job_id: str) -> None:
    """Say what happened to a job, in order."""
    with with_database(cli) as deps:
        report_of(deps, job_id)
        with deps.database.reading() as connection:
            entries = job_timeline.of_job(connection, job_id)
    items = [operation_responses.of_timeline_entry(entry) for entry in entries]
    cli.answer(
        {"items": items, "next": None}, "\n".join(_entry_line(one) for one in entries)
    )


def _entry_line(entry: Entry) -> str:
    state = f" {entry.to_state}" if entry.to_state else ""
    words = [f"{clock.instant(entry.at)}  {entry.what.replace('_', ' ')}{state}"]
    if entry.of:
        words.append(entry.of)
    if entry.job_id:
        words.append(f"job {entry.job_id}")
    if entry.waiting_reason or entry.error_code:
        words.append(f"({entry.waiting_reason or entry.error_code})")
    if entry.actor or entry.user:
        words.append(f"by {entry.actor or entry.user}")
    if entry.reason:
        words.append(f": {entry.reason}")
    return "  ".join(words)


COMMANDS: tuple[click.Command, ...] = (actions, timeline)
