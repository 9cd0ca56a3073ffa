"""What is asked of a job: `cancel`, `pause`, `resume`, `retry`, `give-up`."""

from collections.abc import Callable

import click

from storage.operations.action_log import Acting
from worker.cli.invocation import Cli, command
from worker.cli.jobs import job_answer, job_text
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.progress import report_of
from worker.cli.servers import with_database
from worker.infrastructure.dependencies import Deps
from worker.jobs import job_control, job_retry
from worker.wiring import Wired, wired


def _answer(cli: Cli, deps: Deps, job_id: str) -> None:
    report = report_of(deps, job_id)
    cli.answer(job_answer(deps, report), job_text(deps, report))


def _verb(
    name: str, does: str, steer: Callable[[Wired, str, Acting], bool]
) -> click.Command:
    @command(name)
    @click.argument("job_id", metavar="ID")
    @reason_option
    def run(cli: Cli, *, job_id: str, reason: str | None) -> None:
        by = acting(reason)
        with with_database(cli) as deps:
            steer(wired(deps), job_id, by)
            _answer(cli, deps, job_id)

    run.help = does
    return run


@command("retry")
@click.argument("job_id", metavar="ID")
@click.option("--max-credits", type=click.IntRange(min=0), help="At most at this cost.")
@reason_option
def retry(
    cli: Cli, *, job_id: str, max_credits: int | None, reason: str | None
) -> None:
    """Try the rejected and unreached records of a job again, as a new job."""
    by = acting(reason)
    with with_database(cli) as deps:
        made = job_retry.retry(wired(deps), job_id, max_credits=max_credits, by=by)
        _answer(cli, deps, made)


COMMANDS: tuple[click.Command, ...] = (
    _verb(
        "cancel",
        "Stop a job; what was delivered stays charged, the rest is released.",
        job_control.cancel,
    ),
    _verb(
        "pause",
        "Let a job rest; it keeps its reservation, until that passes its deadline.",
        job_control.pause,
    ),
    _verb("resume", "Let a paused job go on.", job_control.resume),
    _verb(
        "give-up",
        "End a job whose file cannot be sealed, and refund all that it cost.",
        job_control.give_up,
    ),
    retry,
)
