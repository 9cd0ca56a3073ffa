"""Files for a warehouse or an accountant: `warehouse`, `journal`."""

from pathlib import Path

import click

from storage.finance.warehouse.ledger_rows import Dataset
from worker.cli.invocation import Cli, command
from worker.cli.servers import with_database
from worker.finance.warehouse import bulk_export
from worker.finance.warehouse.bulk_export import FileFormat, JournalFormat, Sent
from worker.infrastructure.errors import bad

_PERIOD = click.option(
    "--period", required=True, help="Its starts_at, or that month: 2026-11."
)
_LICENSE = click.option("--license", "license_id", help="By default all.")
_OUT = click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path)
)


@command("warehouse")
@click.argument("dataset", type=click.Choice([each.value for each in Dataset]))
@_PERIOD
@_LICENSE
@click.option(
    "--format",
    "format_",
    default=FileFormat.PARQUET.value,
    show_default=True,
    type=click.Choice([each.value for each in FileFormat]),
)
@_OUT
def warehouse(
    cli: Cli,
    *,
    dataset: str,
    period: str,
    license_id: str | None,
    format_: str,
    out: Path,
) -> None:
    """Write transfers, charges, refunds or statements of periods as CSV or Parquet."""
    scope = bulk_export.scope_of(period, license_id)
    with with_database(cli) as deps:
        file = bulk_export.dataset(deps, Dataset(dataset), FileFormat(format_), scope)
        _save(cli, out, file)


@command("journal")
@_PERIOD
@_LICENSE
@click.option(
    "--format",
    "format_",
    default=JournalFormat.BEANCOUNT.value,
    show_default=True,
    type=click.Choice([each.value for each in JournalFormat]),
)
@_OUT
def journal(
    cli: Cli, *, period: str, license_id: str | None, format_: str, out: Path
) -> None:
    """Write the transfers of periods as a journal for beancount or hledger."""
    scope = bulk_export.scope_of(period, license_id)
    with with_database(cli) as deps:
        file = bulk_export.transfers_journal(deps, JournalFormat(format_), scope)
        _save(cli, out, file)


def _save(cli: Cli, out: Path, file: Sent) -> None:
    if not out.absolute().parent.is_dir():
        raise bad("out", f"there is no folder {out.absolute().parent}")
    written = 0
    try:
        with out.open("wb") as target:
            for piece in file.pieces:
                written += target.write(piece)
    except OSError as error:
        raise bad("out", f"cannot be written: {error.strerror}") from error
    cli.answer({"out": str(out), "bytes": written}, f"{written} bytes in {out}")


COMMANDS = (warehouse, journal)
