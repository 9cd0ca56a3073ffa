"""Upkeep: `directory load`, `erase-person`, `rotate-secrets`, `audit`, `migrate`."""

from pathlib import Path

import click

from worker.cli.invocation import Cli, command, group
from worker.cli.progress import reading
from worker.cli.servers import with_database
from worker.findings.directory_import import load_directory
from worker.ledger.audit import audit as run_audit
from worker.retention import person_erasure, secret_rotation


@group("directory")
def directory() -> None:
    """The house's own data on persons."""


@command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(cli: Cli, *, file: Path) -> None:
    """Load FILE (JSON Lines) into the directory by person_id, all or nothing."""
    with with_database(cli) as deps, reading(cli, file, "loading") as stream:
        persons = load_directory(deps, stream)
    cli.answer({"persons": persons}, f"{persons:,} persons loaded")


@command("audit")
def audit(cli: Cli) -> None:
    """Check the ledger's promises; exit 1 where one is broken."""
    with with_database(cli) as deps:
        violations = run_audit(deps)
    cli.answer(
        {"violations": [violation._asdict() for violation in violations]},
        "\n".join(f"{check}: {detail}" for check, detail in violations)
        or "every promise holds",
    )
    if violations:
        raise click.exceptions.Exit(1)


@command("migrate")
def migrate(cli: Cli) -> None:
    """Bring the database's schema to the newest version."""
    with with_database(cli, migrate=True):
        cli.answer({"migrated": True}, "the schema is up to date")


@command("rotate-secrets")
def rotate_secrets(cli: Cli) -> None:
    """Encrypt all kept secrets with the first key, so that others can be left out."""
    with with_database(cli) as deps:
        count = secret_rotation.rotate(deps)
    cli.answer({"rotated": count}, f"{count:,} secrets encrypted anew")


@command("erase-person")
@click.argument("person_id", metavar="PERSON_ID")
@click.option("--license", "license_id", help="Only from what is kept for it.")
def erase_person(cli: Cli, *, person_id: str, license_id: str | None) -> None:
    """Erase a person; money rows keep the id. The same again ends what a crash left."""
    with with_database(cli) as deps:
        erased = person_erasure.erase(deps, person_id, license_id)
    counts = {
        "directory": erased.directory,
        "findings": erased.findings,
        "uploads": erased.uploads,
        "inputs": erased.inputs,
        "rejections": erased.rejections,
        "files": erased.files,
    }
    under_way = list(erased.jobs_under_way)
    answer = {"person": person_id, "license": license_id, "erased": counts}
    lines = [f"{name:<12} {count:>6,}" for name, count in counts.items()]
    lines += [f"{job_id} is under way and will leave no file" for job_id in under_way]
    cli.answer(answer | {"jobs_under_way": under_way}, "\n".join(lines))


directory.add_command(load)

COMMANDS: tuple[click.Command, ...] = (
    directory,
    erase_person,
    rotate_secrets,
    audit,
    migrate,
)
