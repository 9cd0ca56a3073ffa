"""`dispatcher`: the process that hands out what waits."""

import click

from worker.celery_app import make_app
from worker.chores import chores_of
from worker.cli.invocation import Cli, command
from worker.cli.processes.database_checks import need_schema, tell_of_other_offset
from worker.cli.processes.long_running import (
    begins_after,
    need,
    say_of_itself,
    stop_event,
)
from worker.heap import freeze_heap
from worker.jobs.dispatcher import BROKER_WITHIN_S, Dispatcher
from worker.operations.counter_flush import CounterFlush
from worker.wiring import wire


@command("dispatcher")
@begins_after
def dispatcher(cli: Cli) -> None:
    """Hand what waits to the broker, and bring back what was lost."""
    say_of_itself(cli.settings, "dispatcher")
    settings = cli.settings
    need(settings, "database_url", "broker_url")
    need_schema(settings)
    tell_of_other_offset(settings)
    stop = stop_event()
    deps = wire(settings)
    flush = CounterFlush(deps.database)
    app = make_app(settings, within_s=BROKER_WITHIN_S)
    freeze_heap()
    Dispatcher(deps, app, chores_of(deps)).run(stop)
    flush.close()


COMMANDS: tuple[click.Command, ...] = (dispatcher,)
