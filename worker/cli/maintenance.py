"""Upkeep: the directory, erased persons, secrets, the clock, the audit, migrations."""

import getpass
import sys
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from pathlib import Path

import click

from storage.ledger import business_clock as kept_clock
from storage.ledger.audit_verdicts import AuditRunning, Standing
from storage.ledger.business_clock import ClockReading, EndedAhead
from worker.cli.finance import chain as commands_of_chain
from worker.cli.invocation import Cli, command, group
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.progress import reading
from worker.cli.servers import with_database
from worker.findings.directory_import import load_directory
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.ids import trimmed
from worker.infrastructure.processes.own_process import end_with_parent
from worker.ledger import audit as ledger_audit
from worker.ledger import business_clock
from worker.ledger.audit_process import COMMAND
from worker.responses import audit_responses
from worker.responses.response import Answer
from worker.retention import person_erasure, secret_rotation

_CENTURY_S = 3.2e9
_SHOWN_MAX = 100


def _of_chain(function: Callable[..., None]) -> Callable[..., None]:
    """The options that lead the audit to the chain."""
    chain = click.option(
        "--chain", is_flag=True, help="Look through the chain of seals instead."
    )
    era = click.option(
        "--new-era",
        is_flag=True,
        help="After a restore: let credits move again.",
    )
    return chain(era(reason_option(function)))


@group("directory")
def directory() -> None:
    """The house's own data on persons."""


@command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(cli: Cli, *, file: Path) -> None:
    """Load FILE (JSON Lines) into the directory by person_id, all or nothing."""
    with with_database(cli) as deps, reading(cli, file, "loading") as stream:
        persons, spaced = load_directory(deps, stream)
    words = f", {spaced:,} with white space around their id" if spaced else ""
    answer = {"persons": persons, "trimmed": spaced}
    cli.answer(answer, f"{persons:,} persons loaded{words}")


@command("audit")
@_of_chain
def audit_now(cli: Cli, *, chain: bool, new_era: bool, reason: str | None) -> None:
    """Check the ledger's promises; exit 1 where one is broken."""
    if new_era:
        commands_of_chain.begin_anew(cli, reason)
        return
    if chain:
        commands_of_chain.look_through(cli)
        return
    with with_database(cli) as deps:
        try:
            found = ledger_audit.audit(deps)
        except AuditRunning as error:
            raise Refused(Code.WRONG_STATE, f"{error}: try again later") from error
    cli.answer(
        {"violations": [audit_responses.of_violation(one) for one in found]},
        "\n".join(_line(one) for one in found) or "every promise holds",
    )
    if ledger_audit.unheard(found):
        raise click.exceptions.Exit(1)


def _line(violation: Standing) -> str:
    told = violation.acknowledged
    words = f", acknowledged by {told.by}: {told.reason}" if told else ""
    number = f"(violation {violation.id}{words})"
    return f"{violation.check}: {violation.detail} {number}"


@group("audit", alone=audit_now)
@_of_chain
def audit(**_: object) -> None:
    """Check the ledger's promises; exit 1 where one is broken."""


@command("acknowledge")
@click.argument("violation_id", metavar="ID", type=click.IntRange(1, (1 << 63) - 1))
@click.option("--reason", required=True, help="Why it need not sound any more.")
@click.option("--by", help="Who says so; the user of this shell where none is named.")
@click.option("--refund", type=int, metavar="CHARGE", help="Give a charge back too.")
def acknowledge(
    cli: Cli, *, violation_id: int, reason: str, by: str | None, refund: int | None
) -> None:
    """Let a violation sound no more: it stands, and no audit fails for it."""
    with with_database(cli) as deps:
        found = ledger_audit.acknowledge(
            deps,
            violation_id,
            by=by or getpass.getuser(),
            reason=reason,
            acting=acting(None),
            refund=refund,
        )
    cli.answer(audit_responses.of_violation(found), _line(found))


@command(COMMAND, hidden=True)
def audit_process(cli: Cli) -> None:
    """Audit once, unless another does, and end with whoever has started this."""
    end_with_parent(sys.stdin.fileno())
    with with_database(cli) as deps, suppress(AuditRunning):
        ledger_audit.audit(deps, wait=False)


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
    person_id = trimmed(person_id)
    with with_database(cli) as deps:
        erased = person_erasure.erase(deps, person_id, license_id)
    answer: Answer = {"person": person_id, "license": license_id, **erased.answer()}
    lines = [f"{'person':<12} {person_id}"]
    lines += [f"{name:<12} {count:>6,}" for name, count in answer["erased"].items()]
    lines += [
        f"{job_id} is under way and will leave no file"
        for job_id in erased.jobs_under_way
    ]
    cli.answer(answer, "\n".join(lines))


@command("clock")
def show_clock(cli: Cli) -> None:
    """Show business time, and how far the database's clock is believed."""
    with with_database(cli) as deps:
        _show_clock(cli, deps)


@group("clock", alone=show_clock)
def clock() -> None:
    """Show business time, and how far the database's clock is believed."""


@command("accept")
def accept(cli: Cli) -> None:
    """Confirm that the database's clock is right, where it has jumped."""
    with with_database(cli) as deps:
        with deps.database.transaction() as connection:
            kept_clock.confirm(connection)
        _show_clock(cli, deps)


@command("set-offset", negative_numbers=True)
@click.argument("seconds", metavar="SECONDS", type=float)
def set_offset(cli: Cli, *, seconds: float) -> None:
    """Shift business time by SECONDS for all processes, now and from now on."""
    if not isfinite(seconds) or abs(seconds) > _CENTURY_S:
        raise bad("SECONDS", "must be a number of seconds within a century")
    with with_database(cli) as deps:
        business_clock.set_offset(deps.database, seconds)
        _show_clock(cli, deps)


def _show_clock(cli: Cli, deps: Deps) -> None:
    with deps.database.transaction() as connection:
        reading = kept_clock.read(connection)
        ahead = kept_clock.ended_ahead(connection, limit=_SHOWN_MAX)
    answer = _of_reading(reading) | {"ended_ahead": [_of_period(row) for row in ahead]}
    lines = [
        f"{name.replace('_', ' '):<14} {value}"
        for name, value in answer.items()
        if name != "ended_ahead"
    ]
    lines += [
        f"ended early    {row.license_id} from {instant(row.starts_at)} "
        f"until {instant(row.ends_at)}, {row.expired:,} credits expired"
        for row in ahead
    ]
    cli.answer(answer, "\n".join(lines))


def _of_reading(reading: ClockReading) -> Answer:
    belief, offset = reading.belief, reading.offset
    since = belief.held_since
    return {
        "state": business_clock.state_of(reading),
        "business_time": instant(belief.business(reading.clock_at) + offset),
        "raw": instant(reading.clock_at + offset),
        "trusted": instant(belief.trusted_at + offset),
        "offset_s": reading.offset_s,
        "held_since": instant(since + offset) if since else None,
        "ahead_s": (reading.clock_at - belief.trusted_at).total_seconds(),
    }


def _of_period(row: EndedAhead) -> Answer:
    return {
        "license": row.license_id,
        "starts_at": instant(row.starts_at),
        "ends_at": instant(row.ends_at),
        "expired": row.expired,
    }


directory.add_command(load)
clock.add_command(accept)
clock.add_command(set_offset)
audit.add_command(acknowledge)

COMMANDS: tuple[click.Command, ...] = (
    directory,
    erase_person,
    rotate_secrets,
    clock,
    audit,
    audit_process,
    migrate,
)
