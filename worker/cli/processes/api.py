"""`api`: the HTTP API as a process."""

import logging
import resource
import socket

import click
import uvicorn

from worker.api.app import make_api
from worker.api.context import ApiContext
from worker.api.http_protocol import BoundedProtocol
from worker.cli.invocation import Cli, command
from worker.cli.processes.database_checks import tell_of_other_offset
from worker.cli.processes.long_running import begins_after, need, say_of_itself
from worker.findings.provider_names import check_limits

log = logging.getLogger(__name__)

_OTHER_FILES = 500
"""Files that are open beside those of followers: other requests, the database, logs."""


@command("api")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int)
@click.option("--fd", type=int, help="Serve on a socket that is open already.")
@begins_after
def api(cli: Cli, *, host: str, port: int, fd: int | None) -> None:
    """Serve the API."""
    say_of_itself(cli.settings, "api")
    need(cli.settings, "database_url", "broker_url")
    check_limits(cli.settings)
    tell_of_other_offset(cli.settings)
    allow_open_files(cli.settings.followers_max + _OTHER_FILES)
    served = make_api(cli.settings)
    config = uvicorn.Config(
        served,
        host=host,
        port=port,
        # Ours, for all that this process says.
        log_config=None,
        log_level="warning",
        http=BoundedProtocol,
    )
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    _Server(config, served.state.context).run(sockets)


def allow_open_files(needed: int) -> None:
    """Take as many open files as this process may have; say so where they are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    # Some systems take no limit at all for more than they can give.
    wanted = max(soft, needed) if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays at %s: %s", soft, error)
        wanted = soft
    if wanted < needed:
        log.warning(
            "%s files may be open, and %s would be with all followers: raise the limit "
            "(ulimit -n), or lower HOLDFAST_FOLLOWERS_MAX",
            wanted,
            needed,
        )


class _Server(uvicorn.Server):
    """Lets followers go when it stops."""

    def __init__(self, config: uvicorn.Config, context: ApiContext) -> None:
        super().__init__(config)
        self._context = context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._context.end_streams()
        await super().shutdown(sockets)


COMMANDS: tuple[click.Command, ...] = (api,)
