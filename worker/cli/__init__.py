"""The command line: the same use cases as the API, for a terminal.

Exit status: 0 done, 1 refused, failed or violated, 2 bad input. With `--json`
standard output holds the answer's object alone; problems go to standard error.
"""

import sys

import click

from worker.cli import credit, demo, house, jobs, keys, serve
from worker.cli.problems import report


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def holdfast() -> None:
    """Bulk exports that can never cost more than their quote."""


for _module in (credit, jobs, house, keys, serve, demo):
    for _command in _module.COMMANDS:
        holdfast.add_command(_command)


def main() -> None:
    """Run one command."""
    try:
        holdfast.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the one place that turns errors into a status
        sys.exit(report(error))
