"""`api`: the HTTP API as a process."""

import socket

import click
import uvicorn

from worker.api.app import make_api
from worker.api.http_protocol import BoundedProtocol
from worker.cli.invocation import Cli, command
from worker.cli.long_running import log_to_stderr, need, tell_of_other_offset
from worker.findings.provider_registry import check_limits


@command("api")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int)
@click.option("--fd", type=int, help="Serve on a socket that is open already.")
def api(cli: Cli, *, host: str, port: int, fd: int | None) -> None:
    """Serve the API."""
    log_to_stderr()
    need(cli.settings, "database_url", "broker_url")
    check_limits(cli.settings)
    tell_of_other_offset(cli.settings)
    config = uvicorn.Config(
        make_api(cli.settings),
        host=host,
        port=port,
        log_level="warning",
        http=BoundedProtocol,
    )
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    uvicorn.Server(config).run(sockets)


COMMANDS: tuple[click.Command, ...] = (api,)
