"""The command line: the same use cases as the API, for a terminal.

Exit status: 0 done, 1 refused, failed or violated, 2 bad input, 130 interrupted. With
`--json` standard output holds the answer's object alone; problems go to standard error.

Imports every use case, and the API to serve it. Start with `invocation`: what each
command stands on.
"""

import sys
from importlib import import_module

import click

from worker.cli.error_messages import report
from worker.cli.invocation import group

_MODULES = {
    "licenses": ("license", "top-up", "balance", "periods"),
    "exports": ("quote", "export"),
    "jobs": ("jobs", "job", "cancel"),
    "maintenance": (
        *("directory", "erase-person", "rotate-secrets"),
        *("clock", "audit", "audit-process", "migrate"),
    ),
    "keys": ("keys",),
    "up": ("up",),
    "api_process": ("api",),
    "worker_processes": ("worker", "dispatcher"),
    "demo": ("demo",),
    "sandbox": ("sandbox",),
}
"""Where each command is."""


class _Lazy(click.Group):
    """Loads the module of a command when it is asked for.

    A process of ours is one command, and importing what it does not need (the API's
    framework, Celery) would take a third of its start.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for names in _MODULES.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        for module, names in _MODULES.items():
            if cmd_name in names:
                commands: tuple[click.Command, ...]
                commands = import_module(f"worker.cli.{module}").COMMANDS
                return next(found for found in commands if found.name == cmd_name)
        return None


@group("holdfast", _Lazy)
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
