"""Pauses of more than a job: `pauses`, `pauses set`, `pauses lift`."""

import click

from storage.operations import scope_pauses as kept_pauses
from storage.operations.scope_pauses import ScopePause
from storage.pause_scope import PauseScope
from worker.cli.invocation import Cli, command, group
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.servers import with_database
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import bad
from worker.operations import scope_pauses
from worker.responses import pause_responses

_SHOWN_MAX = 500

_SCOPE = click.argument("scope", type=click.Choice([one.value for one in PauseScope]))
_SUBJECT = click.argument("subject", metavar="[SUBJECT]", required=False)


@command("list")
def list_(cli: Cli) -> None:
    """List what is paused besides jobs.

    That is a license, a connection, a provider, or everything.
    """
    with with_database(cli) as deps, deps.database.reading() as connection:
        found = kept_pauses.page(connection, limit=_SHOWN_MAX)
    cli.answer(
        {
            "items": [
                pause_responses.of_pause(one.scope, one.subject, one) for one in found
            ],
            "next": None,
        },
        "\n".join(_line(one) for one in found) or "nothing is paused",
    )


@group("pauses", alone=list_)
def pauses() -> None:
    """List what is paused besides jobs.

    That is a license, a connection, a provider, or everything.
    """


@command("set")
@_SCOPE
@_SUBJECT
@reason_option
def set_(cli: Cli, *, scope: str, subject: str | None, reason: str | None) -> None:
    """Pause a license, a connection or a provider, or everything, for a REASON.

    What runs ends its batch, and deadlines stand still.
    """
    paused = PauseScope(scope)
    name, by = _named(paused, subject), acting(reason)
    with with_database(cli) as deps:
        scope_pauses.pause_scope(deps, paused, name, by)
        _show(cli, deps, paused, name)


@command("lift")
@_SCOPE
@_SUBJECT
@reason_option
def lift(cli: Cli, *, scope: str, subject: str | None, reason: str | None) -> None:
    """Let what was paused go on."""
    paused = PauseScope(scope)
    name, by = _named(paused, subject), acting(reason)
    with with_database(cli) as deps:
        scope_pauses.resume_scope(deps, paused, name, by)
        _show(cli, deps, paused, name)


def _named(scope: PauseScope, subject: str | None) -> str:
    if (scope is PauseScope.EVERYTHING) != (subject is None):
        message = "everything has none, and all else has one"
        raise bad("SUBJECT", message)
    return subject or ""


def _show(cli: Cli, deps: Deps, scope: PauseScope, subject: str) -> None:
    found = scope_pauses.pause_of(deps, scope, subject)
    words = f"{scope} {subject}".rstrip()
    cli.answer(
        pause_responses.of_pause(scope, subject, found),
        f"{words} is not paused" if found is None else _line(found),
    )


def _line(pause: ScopePause) -> str:
    words = f"{pause.scope} {pause.subject}".rstrip()
    since = instant(pause.paused_at)
    return f"{words} is paused since {since} by {pause.paused_by}: {pause.reason}"


pauses.add_command(list_)
pauses.add_command(set_)
pauses.add_command(lift)

COMMANDS: tuple[click.Command, ...] = (pauses,)
