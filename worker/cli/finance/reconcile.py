"""`reconcile`: every charge of a period computed again, and all that says the same."""

import sys
from pathlib import Path

import click

from storage.errors import Superseded
from worker.cli.invocation import Cli, command, group
from worker.cli.processes.long_running import stop_event
from worker.cli.servers import with_database
from worker.finance.reconciliation import reconciliations, runners, usage_match
from worker.finance.reconciliation.reconcile_process import COMMAND
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.processes.own_process import end_with_parent, give_way
from worker.responses import reconciliation_responses

_SHOWN_MAX = 1_000


@command("reconcile")
@click.option("--period")
@click.option("--license", "license_id")
def reconcile_now(cli: Cli, *, period: str | None, license_id: str | None) -> None:
    """Compute every charge of a period again; exit 1 where anything differs."""
    if period is None:
        raise bad("--period", "is needed: a month as 2026-11, its starts_at, or open")
    give_way()
    with with_database(cli) as deps:
        found = runners.run_now(deps, period, license_id)
        told = reconciliations.show(deps, found.id, limit=_SHOWN_MAX)
    cli.answer(
        reconciliation_responses.of_shown(told), reconciliation_responses.text_of(told)
    )
    if found.differences or found.state != "done":
        raise click.exceptions.Exit(1)


@group("reconcile", alone=reconcile_now)
@click.option("--period", help="Its month as 2026-11, its starts_at, or `open`.")
@click.option("--license", "license_id", help="Of this license alone.")
def reconcile() -> None:
    """Compute every charge of a period again; exit 1 where anything differs."""


@command("usage")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", help="Whose file it is; its ids are jobs or look-ups.")
@click.option("--connection", help="Of which CRM it is; its ids are the CRM's.")
@click.option("--by", type=click.Choice(["job", "lookup"]), default="job")
@click.option(
    "--column", "named", multiple=True, metavar="NAME=COLUMN", help="id, amount, at."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path))
def usage(
    cli: Cli,
    *,
    file: Path,
    provider: str | None,
    connection: str | None,
    by: str,
    named: tuple[str, ...],
    out: Path | None,
) -> None:
    """Match a vendor's usage FILE (CSV); exit 1 where it says something else."""
    parts = [one.partition("=") for one in named]
    columns = {name: column or name for name, _, column in parts}
    vendor = usage_match.vendor_of(provider, connection, by)
    with with_database(cli) as deps, file.open("rb") as stream:
        found = usage_match.match(deps, stream, vendor, columns)
    if out is not None:
        out.write_bytes(usage_match.as_csv(found))
    cli.answer(usage_match.answer_of(found), usage_match.text_of(found))
    if found.differs:
        raise click.exceptions.Exit(1)


@command(COMMAND, hidden=True)
def reconcile_process(cli: Cli) -> None:
    """Work off what waits, and end with whoever has started this."""
    end_with_parent(sys.stdin.fileno())
    give_way()
    with with_database(cli) as deps:
        try:
            runners.run_waiting(deps, stop_event())
        except Superseded as error:
            raise Refused(Code.WRONG_STATE, str(error)) from error


reconcile.add_command(usage)

COMMANDS: tuple[click.Command, ...] = (reconcile, reconcile_process)
