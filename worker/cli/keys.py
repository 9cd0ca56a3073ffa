"""API keys: `keys create`, `keys list`, `keys revoke`."""

import click

from storage.access_scopes import Scope
from storage.licenses.api_keys import Key
from worker.cli.invocation import Cli, command, group
from worker.cli.servers import with_database
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
def create(
    cli: Cli, *, name: str, scope: str, license_id: str | None, person: str | None
) -> None:
    """Make a key; it is shown once."""
    with with_database(cli) as deps:
        key_id, key = api_keys.create(
            deps, name, Scope(scope), license_id, person=person
        )
    cli.answer({"id": key_id, "key": key}, f"{key_id}\n{key}")


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
