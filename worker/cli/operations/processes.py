"""Workers and dispatchers: `processes`, `alive`, `drain`, `undrain`."""

import socket
from collections.abc import Callable

import click

from storage.operations.action_log import Acting
from storage.operations.processes import Process, ProcessState
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.servers import with_database
from worker.infrastructure import clock
from worker.infrastructure.dependencies import Deps
from worker.operations import worker_drain
from worker.responses import operation_responses

_MIB = 1 << 20


@command("processes")
def processes(cli: Cli) -> None:
    """List workers and dispatchers, and what each is doing."""
    with with_database(cli) as deps:
        found = worker_drain.every(deps)
    items = [operation_responses.of_process(process) for process in found]
    human = "\n".join(_line(process) for process in found) or "no processes"
    cli.answer({"items": items, "next": None}, human)


def _line(process: Process) -> str:
    memory = "" if process.rss_bytes is None else f"  {process.rss_bytes // _MIB:,} MiB"
    line = (
        f"{process.id}  {process.role:<10}  {process.state:<8}  since "
        f"{clock.instant(process.started_at)}, seen {clock.instant(process.seen_at)}"
        f"{memory}"
    )
    for chunk in process.chunks:
        until = clock.instant(chunk.lease_until)
        line += f"\n  chunk {chunk.id} of {chunk.job_id}, until {until}"
    return line


@command("alive")
@click.argument("role", type=click.Choice(("worker", "dispatcher")))
def alive(cli: Cli, *, role: str) -> None:
    """Exit 0 where a ROLE of this machine has reported of late, else 1."""
    with with_database(cli) as deps:
        found = worker_drain.every(deps)
    here = [
        process
        for process in found
        if process.role == role
        and process.host == socket.gethostname()
        and process.state is not ProcessState.SILENT
    ]
    items = [operation_responses.of_process(process) for process in here]
    human = "\n".join(_line(process) for process in here) or f"no {role} is alive here"
    cli.answer({"items": items, "next": None}, human)
    if not here:
        raise click.exceptions.Exit(1)


def _verb(
    name: str, does: str, ask: Callable[[Deps, str, Acting], Process]
) -> click.Command:
    @command(name)
    @click.argument("process_id", metavar="PROCESS")
    @reason_option
    def run(cli: Cli, *, process_id: str, reason: str | None) -> None:
        by = acting(reason)
        with with_database(cli) as deps:
            process = ask(deps, process_id, by)
        cli.answer(operation_responses.of_process(process), _line(process))

    run.help = does
    return run


COMMANDS: tuple[click.Command, ...] = (
    processes,
    alive,
    _verb(
        "drain",
        "Let a worker end its batches, give its chunks back, and take nothing more.",
        worker_drain.drain,
    ),
    _verb("undrain", "Let a worker take chunks again.", worker_drain.undrain),
)
