"""API keys: `keys create`, `keys list`, `keys revoke`."""

from datetime import UTC, datetime, timedelta

import click

from storage.access_scopes import Scope
from storage.licenses.api_keys import Key
from worker.cli.invocation import Cli, command, group
from worker.cli.servers import with_database
from worker.infrastructure.clock import instant, wall_s
from worker.licenses import api_keys
from worker.responses import license_responses


@group("keys")
def keys_() -> None:
    """Who may call the API."""


@command("create")
@click.option("--name", required=True, help="What people call it.")
@click.option(
    "--scope", required=True, type=click.Choice([scope.value for scope in Scope])
)
@click.option("--license", "license_id", help="Bind it to this license.")
@click.option("--person", help="Who holds it: above an amount, two approve refunds.")
@click.option("--days", type=click.IntRange(min=1), help="It ends after so many.")
def create(
    cli: Cli,
    *,
    name: str,
    scope: str,
    license_id: str | None,
    person: str | None,
    days: int | None,
) -> None:
    """Make a key; it is shown once."""
    ends = None if days is None else _in_days(days)
    with with_database(cli) as deps:
        key_id, key = api_keys.create(
            deps, name, Scope(scope), license_id, person=person, expires_at=ends
        )
    cli.answer({"id": key_id, "key": key}, f"{key_id}\n{key}")


def _in_days(days: int) -> datetime:
    return datetime.fromtimestamp(wall_s(), UTC) + timedelta(days=days)


@command("list")
def list_(cli: Cli) -> None:
    """List all keys, without what is secret."""
    with with_database(cli) as deps:
        found = api_keys.every(deps)
    items = [license_responses.of_key(key) for key in found]
    human = "\n".join(_line(key) for key in found) or "no keys"
    cli.answer({"items": items, "next": None}, human)


def _line(key: Key) -> str:
    held = f"  ({key.person})" if key.person else ""
    state = "revoked" if key.revoked_at else "live"
    if key.expires_at and not key.revoked_at:
        held += f"  until {instant(key.expires_at)}"
    return (
        f"{key.id}  {key.scope:<9} {state:<8} {key.license_id or '*'}  {key.name}{held}"
    )


@command("revoke")
@click.argument("key_id", metavar="ID")
def revoke(cli: Cli, *, key_id: str) -> None:
    """End a key for good."""
    with with_database(cli) as deps:
        api_keys.revoke(deps, key_id)
    cli.answer({"id": key_id, "revoked": True}, f"{key_id} is revoked")


@command("person")
@click.argument("key_id", metavar="ID")
@click.argument("person")
def name_person(cli: Cli, *, key_id: str, person: str) -> None:
    """Say once who holds a key that was made without."""
    with with_database(cli) as deps:
        api_keys.name_person(deps, key_id, person)
    cli.answer({"id": key_id, "person": person.strip()}, f"{key_id} is {person}'s")


for _command in (create, list_, revoke, name_person):
    keys_.add_command(_command)

COMMANDS: tuple[click.Command, ...] = (keys_,)
