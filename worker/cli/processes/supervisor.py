"""`supervisor`: what `up` becomes, as small as it can be.

It lives as long as all that it has started, and does little: so it knows no settings,
no database and no use case.
"""

import json
from pathlib import Path

import click

from worker.cli.processes.long_running import stop_event
from worker.embedded.errors import NotPrepared
from worker.embedded.stack import Wanted, running
from worker.infrastructure.telemetry.log_format import log_to_stderr


@click.command("supervisor", hidden=True)
@click.argument("given")
@click.option("--json", "as_json", is_flag=True)
def supervisor(*, given: str, as_json: bool) -> None:
    """Run what is GIVEN, as `up` has read it from the settings."""
    log_to_stderr(json.loads(given)["log_format"])
    stop = stop_event()
    try:
        with running(_wanted(given, as_json=as_json)) as note:
            click.echo(f"ready {note.api_url}")
            stop.wait()
    except NotPrepared as error:
        raise click.exceptions.Exit(error.status) from error


def _wanted(given: str, *, as_json: bool) -> Wanted:
    read = json.loads(given)
    host, port = read["api"]
    return Wanted(
        home=Path(read["home"]),
        prepare=["prepare", *(["--json"] if as_json else [])],
        database_url=read["database_url"],
        broker_url=read["broker_url"],
        workers=True,
        api=(host, port),
        worker_grace_s=read["worker_grace_s"],
    )


COMMANDS: tuple[click.Command, ...] = (supervisor,)
