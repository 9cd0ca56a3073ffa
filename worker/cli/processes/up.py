"""`up`: everything on one machine."""

import json
import os
import sys

import click

from worker.cli.invocation import Cli, command
from worker.cli.own_workers import check_own_workers


@command("up")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int, help="0 picks one.")
def up(cli: Cli, *, host: str, port: int) -> None:
    """Run everything in one place until Ctrl-C: servers, API, worker, dispatcher."""
    settings = cli.settings
    check_own_workers(settings)
    wanted = {
        "home": str(settings.home),
        "database_url": settings.database_url,
        "broker_url": settings.broker_url,
        "api": [host, port],
        "worker_grace_s": settings.worker_grace_s,
        "log_format": settings.log_format,
    }
    json_too = ["--json"] if cli.json else []
    words = ["-P", "-m", "worker.cli", "supervisor", json.dumps(wanted), *json_too]
    # In our place, without what reading the settings has brought into memory.
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - our own program


COMMANDS: tuple[click.Command, ...] = (up,)
