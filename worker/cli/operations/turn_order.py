"""Whose turn it is: `weight`, `priority`."""

from decimal import Decimal, InvalidOperation

import click

from storage.job_priority import Priority
from storage.licenses import licenses
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.progress import report_of
from worker.cli.servers import with_database
from worker.infrastructure.errors import bad
from worker.operations import turn_order
from worker.responses import job_responses, license_responses


@command("weight", negative_numbers=True)
@click.argument("license_id", metavar="LICENSE")
@click.argument("weight", metavar="WEIGHT")
@reason_option
def weight(cli: Cli, *, license_id: str, weight: str, reason: str | None) -> None:
    """Let a license have WEIGHT times the share of one that weighs 1.

    WEIGHT is 0.25 to 4.
    """
    wanted, by = _number(weight), acting(reason)
    with with_database(cli) as deps:
        turn_order.set_weight(deps, license_id, wanted, by)
        with deps.database.transaction() as connection:
            found = licenses.get(connection, license_id)
    assert found is not None  # noqa: S101 - licenses are never removed
    cli.answer(
        license_responses.of_license(found), f"{found.id} weighs {found.weight:g}"
    )


def _number(given: str) -> Decimal:
    try:
        number = Decimal(given)
    except InvalidOperation as error:
        raise bad("WEIGHT", "is no number such as 0.5") from error
    if not number.is_finite():
        raise bad("WEIGHT", "is no number such as 0.5")
    return number


@command("priority")
@click.argument("job_id", metavar="JOB")
@click.argument("priority", type=click.Choice([one.word for one in Priority]))
@reason_option
def priority(cli: Cli, *, job_id: str, priority: str, reason: str | None) -> None:
    """Let a job go sooner or later among those of its license."""
    by = acting(reason)
    with with_database(cli) as deps:
        turn_order.set_priority(deps, job_id, Priority[priority.upper()], by)
        report = report_of(deps, job_id)
    cli.answer(
        job_responses.of_job(report), f"{report.id} has priority {report.priority.word}"
    )


COMMANDS: tuple[click.Command, ...] = (weight, priority)
