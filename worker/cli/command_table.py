"""The table of commands: where each is, and what it does in a sentence."""

from importlib import import_module
from typing import NamedTuple

import click
from click.exceptions import NoSuchCommand

from worker.cli.command_examples import epilog_of


class _Place(NamedTuple):
    """The module of a command, and what its help begins with; hidden without."""

    module: str
    does: str = ""


COMMANDS = {
    "license": _Place("licenses", "The paying accounts."),
    "top-up": _Place("licenses", "Add credits to the running period."),
    "balance": _Place("licenses", "Show the running period's credits."),
    "periods": _Place("licenses", "The periods of licenses."),
    "statement": _Place(
        "finance.statements",
        "Say what moved a period's credits, and what they went to.",
    ),
    "warehouse": _Place(
        "finance.warehouse",
        "Write transfers, charges, refunds or statements of periods as CSV or Parquet.",
    ),
    "journal": _Place(
        "finance.warehouse",
        "Write the transfers of periods as a journal for beancount or hledger.",
    ),
    "upload": _Place(
        "files.uploads",
        "Check the records of FILE and keep them until they are quoted.",
    ),
    "quote": _Place(
        "exports", "Say what exporting FILE can cost at most; nothing is reserved."
    ),
    "export": _Place(
        "exports",
        "Quote FILE, run the job, wait for its end, and write its file to OUT.",
    ),
    "jobs": _Place("jobs", "List the newest jobs."),
    "job": _Place("jobs", "Show a job."),
    "cancel": _Place(
        "operations.job_verbs",
        "Stop a job; what was delivered stays charged, the rest is released.",
    ),
    "pause": _Place(
        "operations.job_verbs",
        "Let a job rest; it keeps its reservation, until that passes its deadline.",
    ),
    "resume": _Place("operations.job_verbs", "Let a paused job go on."),
    "retry": _Place(
        "operations.job_verbs",
        "Try the rejected and unreached records of a job again, as a new job.",
    ),
    "give-up": _Place(
        "operations.job_verbs",
        "End a job whose file cannot be sealed, and refund all that it cost.",
    ),
    "forecast": _Place(
        "finance.balances", "Say when credits run out, if they go on as of late."
    ),
    "alerts": _Place(
        "finance.balances",
        "Show, or set, at which points a license is told of its balance.",
    ),
    "overview": _Place(
        "finance.balances", "Show what a license has used of a period, and per user."
    ),
    "overview-link": _Place(
        "finance.balances", "Make a link to a license's overview that needs no key."
    ),
    "refunds": _Place("finance.refunds", "Charges given back by credit notes."),
    "queues": _Place(
        "operations.overview", "Show what waits, for how long, and whose turn it is."
    ),
    "top": _Place(
        "operations.overview", "Show the overview, again and again until Ctrl-C."
    ),
    "processes": _Place(
        "operations.processes", "List workers and dispatchers, and what each is doing."
    ),
    "alive": _Place(
        "operations.processes",
        "Exit 0 where a ROLE of this machine has reported of late, else 1.",
    ),
    "drain": _Place(
        "operations.processes",
        "Let a worker end its batches, give its chunks back, and take nothing more.",
    ),
    "undrain": _Place("operations.processes", "Let a worker take chunks again."),
    "jobs-bulk": _Place(
        "operations.bulk",
        "Ask a verb of all jobs that a filter matches, each with its own action.",
    ),
    "give-back": _Place(
        "operations.recovery",
        "Take a chunk from the worker that runs it: another goes on from its cursor.",
    ),
    "send-again": _Place(
        "operations.recovery", "Attempt a webhook's delivery once more at once."
    ),
    "requeue": _Place(
        "operations.recovery",
        "Let all of the outbox that waits after a failure be tried at once.",
    ),
    "timeline": _Place("operations.actions", "Say what happened to a job, in order."),
    "actions": _Place(
        "operations.actions", "List who did what and why, the newest first."
    ),
    "weight": _Place(
        "operations.turn_order",
        "Let a license have WEIGHT times the share of one that weighs 1.",
    ),
    "priority": _Place(
        "operations.turn_order",
        "Let a job go sooner or later among those of its license.",
    ),
    "pauses": _Place("operations.pauses", "List what is paused besides jobs."),
    "directory": _Place("maintenance", "The house's own data on persons."),
    "erase-person": _Place(
        "maintenance",
        "Erase a person; money rows keep the id.",
    ),
    "rotate-secrets": _Place(
        "maintenance",
        "Encrypt all kept secrets with the first key, so that others can be left out.",
    ),
    "clock": _Place(
        "maintenance",
        "Show business time, and how far the database's clock is believed.",
    ),
    "audit": _Place(
        "maintenance", "Check the ledger's promises; exit 1 where one is broken."
    ),
    "audit-process": _Place("maintenance"),
    "chain-process": _Place("finance.chain"),
    "reconcile": _Place(
        "finance.reconcile",
        "Compute every charge of a period again; exit 1 where anything differs.",
    ),
    "explain": _Place(
        "finance.explain",
        "Say why CHARGE cost what it did, in sentences for a customer.",
    ),
    "reconcile-process": _Place("finance.reconcile"),
    "check": _Place(
        "operations.check",
        "Say what it would run on, and try each part; exit 1 where one does not do.",
    ),
    "migrate": _Place(
        "maintenance", "Bring the database's schema to the newest version."
    ),
    "keys": _Place("keys", "Who may call the API."),
    "up": _Place(
        "processes.up",
        "Run everything in one place until Ctrl-C: servers, API, worker, dispatcher.",
    ),
    "supervisor": _Place("processes.supervisor"),
    "prepare": _Place("processes.preparation"),
    "api": _Place("processes.api", "Serve the API."),
    "worker": _Place(
        "processes.worker",
        "Work on chunks; TERM lets batches end and gives chunks back.",
    ),
    "dispatcher": _Place(
        "processes.dispatcher",
        "Hand what waits to the broker, and bring back what was lost.",
    ),
    "demo": _Place(
        "demonstration.demo",
        "Export the sample twice in a fresh home; exit 1 on any wrong number.",
    ),
    "sandbox": _Place(
        "demonstration.sandbox",
        "Serve stand-ins of the providers and of CRMs until Ctrl-C.",
    ),
}
"""By the name that is typed."""

_SHOWN = [name for name, place in COMMANDS.items() if place.does]


class CommandTable(click.Group):
    """Loads the module of a command when it is asked for, and not to list it.

    A process of ours is one command, and importing what it does not need (the API's
    framework, Celery) would take a third of its start and of its memory.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        commands: tuple[click.Command, ...]
        commands = import_module(f"worker.cli.{place.module}").COMMANDS
        command = next(found for found in commands if found.name == cmd_name)
        command.epilog = epilog_of(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is typed; one that there is not is told with the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(
                error.command_name, possibilities=_SHOWN, ctx=ctx
            ) from error

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write what `--help` lists."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, place.does) for name, place in COMMANDS.items() if place.does]
            )
