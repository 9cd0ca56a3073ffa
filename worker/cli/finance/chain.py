"""The chain on the command line: looked through, and begun anew after a restore."""

import sys

import click

from storage.finance.chain.runs import SealerBusy
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting
from worker.cli.servers import with_database
from worker.finance.chain import new_era
from worker.finance.chain.breaks import Break
from worker.finance.chain.check_process import COMMAND
from worker.finance.chain.new_era import NewEra
from worker.finance.chain.pins import PinBroken
from worker.finance.chain.verifier import Found, verify, verify_alone
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.processes.own_process import end_with_parent, give_way
from worker.responses.response import Answer


def look_through(cli: Cli) -> None:
    """Make every seal again; exit 1 where one differs."""
    with with_database(cli) as deps:
        found = verify(deps)
    cli.answer(_of_found(found), "\n".join(_lines(found)))
    if found.total:
        raise click.exceptions.Exit(1)


def begin_anew(cli: Cli, reason: str | None) -> None:
    """Let credits move again after a restore."""
    with with_database(cli) as deps:
        try:
            begun = new_era.start(deps, acting(reason))
        except (SealerBusy, PinBroken) as error:
            raise Refused(Code.WRONG_STATE, f"{error}: try again later") from error
    cli.answer(_of_era(begun), _era_line(begun))


def _of_found(found: Found) -> Answer:
    last = found.last
    return {
        "runs": last.n if last else 0,
        "rows": found.rows,
        "head": found.head.hex(),
        "sealed_to": last.to_transaction if last else 0,
        "unsealed": found.unsealed,
        "erased": found.erased,
        "pins": found.pins,
        "pins_lost": found.pins_lost,
        "breaks_total": found.total,
        "breaks": [_of_break(one) for one in found.breaks],
    }


def _of_break(broken: Break) -> Answer:
    return {
        "license": broken.license_id,
        "run": broken.run,
        "table": broken.table,
        "row": broken.row,
        "what": broken.what,
    }


def _lines(found: Found) -> list[str]:
    runs = found.last.n if found.last else 0
    lines = [str(one) for one in found.breaks]
    if found.total > len(found.breaks):
        lines.append(f"and {found.total - len(found.breaks):,} more")
    verdict = f"{found.total:,} breaks" if found.total else "the chain holds"
    lines.append(f"{verdict}: {found.rows:,} rows sealed in {runs:,} runs")
    if found.unsealed:
        lines.append(f"{found.unsealed:,} rows are not sealed yet")
    if found.erased:
        lines.append(f"of {found.erased:,} rows the words were erased")
    if found.pins_lost:
        lines.append(
            f"{found.pins_lost:,} pinned runs were lost with a restored backup"
        )
    return lines


def _of_era(begun: NewEra) -> Answer:
    pinned = begun.pinned
    return {
        "era": begun.run.era,
        "run": begun.run.n,
        "sealed": sum(begun.run.counts),
        "why": begun.why,
        "pinned_run": pinned.run if pinned else None,
        "lost_runs": begun.lost_runs,
    }


def _era_line(begun: NewEra) -> str:
    lost = f"; {begun.lost_runs:,} pinned runs are lost" if begun.lost_runs else ""
    return (
        f"credits move again, in era {begun.run.era}: {begun.why}; "
        f"{sum(begun.run.counts):,} rows were sealed{lost}"
    )


@command(COMMAND, hidden=True)
def chain_process(cli: Cli) -> None:
    """Look through the chain once, unless another does, and end with the parent."""
    end_with_parent(sys.stdin.fileno())
    give_way()
    with with_database(cli) as deps:
        verify_alone(deps)


COMMANDS: tuple[click.Command, ...] = (chain_process,)
