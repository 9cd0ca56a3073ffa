"""Whether an installation can do its work: `check`."""

import click

from worker.cli.invocation import Cli, command
from worker.cli.operations import installation_checks
from worker.cli.servers import with_database


@command("check")
def check(cli: Cli) -> None:
    """Say what it would run on, and try each part; exit 1 where one does not do."""
    with with_database(cli) as deps:
        found = list(installation_checks.every(deps))
    items = [one._asdict() for one in found]
    human = "\n".join(
        f"{'ok    ' if one.ok else 'FAILED'}  {one.part:<9}  {one.detail}"
        for one in found
    )
    cli.answer({"ok": all(one.ok for one in found), "checks": items}, human)
    if not all(one.ok for one in found):
        raise click.exceptions.Exit(1)


COMMANDS: tuple[click.Command, ...] = (check,)
