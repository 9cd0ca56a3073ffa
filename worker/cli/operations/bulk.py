"""One verb for all jobs that a filter matches: `jobs-bulk`."""

from datetime import UTC, datetime

import click

from storage.jobs.job_reports import WantedJobs
from storage.operations.bulk_jobs import BulkVerb
from storage.state_machine import JobState
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.servers import with_database
from worker.operations import bulk_jobs
from worker.wiring import wired

_VERBS = [verb.value.replace("_", "-") for verb in BulkVerb]
_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


def _instant(given: datetime | None) -> datetime | None:
    return given and given.replace(tzinfo=UTC)


@command("jobs-bulk")
@click.argument("verb", type=click.Choice(_VERBS))
@click.option("--license", "license_id", help="Of this license.")
@click.option("--kind", type=click.Choice(["export", "push"]))
@click.option("--state", type=click.Choice([state.value for state in JobState]))
@click.option("--user", help="Of this user.")
@click.option("--from", "created_from", type=_DATE, help="Created then or later, UTC.")
@click.option("--to", "created_to", type=_DATE, help="Created before that, UTC.")
@click.option("--text", help="Words of the name, or the beginning of the id.")
@click.option("--waiting", help="That wait for this reason.")
@click.option("--expected", type=click.IntRange(min=0), help="Refuse if more match.")
@click.option("--dry-run", is_flag=True, help="Say how many it would be.")
@reason_option
def jobs_bulk(
    cli: Cli,
    *,
    verb: str,
    expected: int | None,
    dry_run: bool,
    reason: str | None,
    state: str | None,
    **asked: str | datetime | None,
) -> None:
    """Ask a verb of all jobs that a filter matches, each with its own action."""
    by, bulk_verb = acting(reason), BulkVerb(verb.replace("-", "_"))
    wanted = _wanted(state, asked)
    with with_database(cli) as deps:
        if dry_run:
            result = bulk_jobs.count(wired(deps), bulk_verb, wanted)
        else:
            result = bulk_jobs.steer(
                wired(deps), bulk_verb, wanted, by, expected=expected
            )
        at_most = deps.settings.bulk_jobs_max
    answer = result._asdict()
    answer["bulk"] = answer.pop("bulk_id")
    said = f"{result.matched} jobs match"
    if not dry_run:
        said += f": {result.done} done, {result.skipped} skipped"
    cli.answer(answer | {"max": at_most}, said)


def _wanted(state: str | None, asked: dict[str, str | datetime | None]) -> WantedJobs:
    dates = {name: asked.pop(name) for name in ("created_from", "created_to")}
    words = {
        "license_id": asked["license_id"],
        "kind": asked["kind"],
        "user_id": asked["user"],
        "text": asked["text"],
        "waiting_reason": asked["waiting"],
    }
    return WantedJobs(
        state=JobState(state) if state else None,
        **{name: _instant(one) for name, one in dates.items()},  # type: ignore[arg-type]
        **words,  # type: ignore[arg-type]
    )


COMMANDS: tuple[click.Command, ...] = (jobs_bulk,)
