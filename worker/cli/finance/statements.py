"""Statements: `statement`, and `periods close`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from storage.finance.statements.lines import Line, Section, Statement
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.servers import with_database
from worker.finance.statements import frozen_check, period_close, statements
from worker.finance.statements.statement_document import statement_of
from worker.finance.statements.statement_formats import (
    StatementFile,
    StatementFormat,
    file_of,
)
from worker.finance.statements.statement_table import TITLES, facts
from worker.infrastructure.errors import bad

_FORMATS = [each.value for each in StatementFormat]


@command("statement")
@click.argument("license_id", metavar="LICENSE")
@click.option("--period", help="Its starts_at, or that month: 2026-11.")
@click.option("--run", type=click.IntRange(1, 1_000_000), help="Of a closed period.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="Of the file; else its name says it.",
)
@click.option("--check", is_flag=True, help="Hold what is frozen against the ledger.")
def statement(
    cli: Cli,
    *,
    license_id: str,
    period: str | None,
    run: int | None,
    out: Path | None,
    format_: str | None,
    check: bool,
) -> None:
    """Say what moved a period's credits, and what they went to."""
    wanted = _wanted(out, format_)
    if check:
        _check(cli, license_id)
        return
    with with_database(cli) as deps:
        shown = statements.show(deps, license_id, period, run)
    if out is not None and wanted is not None:
        _save(out, file_of(shown, wanted))
    cli.answer(json.loads(shown.document), "\n".join(_told(shown.statement)))
    if out is not None:
        cli.say(f"written to {out}")


def _check(cli: Cli, license_id: str) -> None:
    with with_database(cli) as deps:
        checked, differences = frozen_check.check(deps, license_id)
    answer = {
        "license": license_id,
        "checked": checked,
        "differences": [each._asdict() for each in differences],
    }
    lines = [f"{checked:,} frozen runs of {license_id}: {len(differences)} differ"]
    lines += [f"from {d.period}, run {d.run}: {d.what}" for d in differences]
    cli.answer(answer, "\n".join(lines))
    if differences:
        sys.exit(1)


def _wanted(out: Path | None, format_: str | None) -> StatementFormat | None:
    """The format of the file. Raises `BadInput` where nothing says it."""
    if out is None:
        if format_ is not None:
            raise bad("format", "is that of a file: give --out as well")
        return None
    if not out.absolute().parent.is_dir():
        raise bad("out", f"there is no folder {out.absolute().parent}")
    named = format_ or out.suffix.removeprefix(".").lower()
    if named not in _FORMATS:
        raise bad("out", f"ends in one of {', '.join(_FORMATS)}, or give --format")
    return StatementFormat(named)


def _save(out: Path, file: StatementFile) -> None:
    try:
        out.write_bytes(file.data)
    except OSError as error:
        raise bad("out", f"cannot be written: {error.strerror}") from error


def _told(statement: Statement) -> Iterator[str]:
    """A statement for a person."""
    for name, value in facts(statement):
        if value:
            yield f"{name.replace('_', ' '):<20} {value}"
    for section in Section:
        lines = statement.of(section)
        if lines:
            yield ""
            yield TITLES[section]
        yield from (_line(line) for line in lines)


def _line(line: Line) -> str:
    if line.accounts is not None and line.credits is None:
        return "  ".join(f"{name} {n:,}" for name, n in line.accounts._asdict().items())
    words = [f"{line.key or '':<24}"]
    if line.credits is not None:
        words.append(f"{line.credits:>14,}")
    if line.refunded:
        words.append(f"less {line.refunded:,} refunded")
    words.append(f"({line.count:,})")
    if line.job is not None and line.job != line.key:
        words.append(line.job)
    return " ".join(words)


@command("close")
@click.argument("license_id", metavar="LICENSE")
@click.argument("period", metavar="PERIOD")
@reason_option
def close(cli: Cli, *, license_id: str, period: str, reason: str | None) -> None:
    """Close a period that has ended, for good, and freeze its statement."""
    by = acting(reason)
    with with_database(cli) as deps:
        document = json.loads(period_close.close(deps, license_id, period, by))
    closing = statement_of(document).closing
    cli.answer(
        document,
        f"{license_id} from {document['period']['starts_at']} is closed: "
        f"{closing.spent:,} credits spent, {closing.expired:,} expired; "
        f"head {document['head'] or 'none'}",
    )


COMMANDS: tuple[click.Command, ...] = (statement,)
