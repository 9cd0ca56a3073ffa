"""What the house keeps: `directory load`, `audit`, `migrate`."""

from pathlib import Path

import click

from worker.cli.ground import Ground, command, with_database
from worker.cli.progress import reading
from worker.loading import load_directory
from worker.sweeper import audit as run_audit


@click.group()
def directory() -> None:
    """The house's own data on persons."""


@command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(ground: Ground, *, file: Path) -> None:
    """Load FILE (JSON Lines) into the directory by person_id, all or nothing."""
    with with_database(ground) as deps, reading(ground, file, "loading") as stream:
        persons = load_directory(deps, stream)
    ground.answer({"persons": persons}, f"{persons:,} persons loaded")


@command("audit")
def audit(ground: Ground) -> None:
    """Check the ledger's promises; exit 1 where one is broken."""
    with with_database(ground) as deps:
        violations = run_audit(deps)
    ground.answer(
        {"violations": [violation._asdict() for violation in violations]},
        "\n".join(f"{check}: {detail}" for check, detail in violations)
        or "every promise holds",
    )
    if violations:
        raise click.exceptions.Exit(1)


@command("migrate")
def migrate(ground: Ground) -> None:
    """Bring the database's schema to the newest version."""
    with with_database(ground, migrate=True):
        ground.answer({"migrated": True}, "the schema is up to date")


directory.add_command(load)

COMMANDS: tuple[click.Command, ...] = (directory, audit, migrate)
