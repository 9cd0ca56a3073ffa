"""Who acts on the command line: the machine's user, from this host."""

import getpass
import os
import socket
from collections.abc import Callable

import click

from storage.operations.action_log import Acting, Actor
from worker.infrastructure.ids import check_name


def acting(reason: str | None) -> Acting:
    """By whom, and why, a command acts. Raises `BadInput` for an unfit reason."""
    if reason is not None:
        check_name(reason, "reason")
    user, origin = _user(), f"command line on {socket.gethostname()}"
    return Acting(Actor(user, origin, person=user), reason)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a user that nobody has named.
        return f"user {os.getuid()}"


reason_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--reason", help="Why; it is kept for good, so name no person."
)
"""The option of every command that acts."""
