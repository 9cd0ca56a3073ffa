"""The command line: the same use cases as the API, for a terminal.

Exit status: 0 done, 1 refused, failed or violated, 2 bad input, 130 interrupted. With
`--json` standard output holds the answer's object alone; problems go to standard error.

Imports every use case, and the API to serve it, each with the command that needs it.
Start with `invocation`: what each command stands on.
"""

import sys

import click

from worker.cli.command_table import CommandTable
from worker.cli.error_messages import report
from worker.cli.invocation import group


@click.version_option(package_name="holdfast")
@group("holdfast", CommandTable)
def holdfast() -> None:
    """Bulk exports and CRM pushes that can never cost more than their quote."""


def main() -> None:
    """Run one command, and end with its exit status."""
    try:
        # Out of its standalone mode click returns the status of an `Exit`.
        sys.exit(holdfast.main(standalone_mode=False))
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the one place that turns errors into a status
        sys.exit(report(error))
