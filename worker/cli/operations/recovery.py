"""What is stuck or has failed is tried again: `give-back`, `send-again`, `requeue`."""

import click

from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting, reason_option
from worker.cli.servers import with_database
from worker.operations import chunk_recall, outbox_requeue
from worker.responses import operation_responses, webhook_responses
from worker.webhooks import webhooks
from worker.wiring import wired

_BIGINT_MAX = (1 << 63) - 1
_NUMBER = click.IntRange(1, _BIGINT_MAX)


@command("give-back")
@click.argument("chunk_id", metavar="CHUNK", type=_NUMBER)
@reason_option
def give_back(cli: Cli, *, chunk_id: int, reason: str | None) -> None:
    """Take a chunk from the worker that runs it: another goes on from its cursor."""
    by = acting(reason)
    with with_database(cli) as deps:
        chunk_recall.give_back(wired(deps), chunk_id, by)
        chunk = chunk_recall.report(wired(deps), chunk_id)
    left = chunk.stop - chunk.cursor
    cli.answer(
        operation_responses.of_chunk(chunk),
        f"chunk {chunk.id} of {chunk.job_id} is {chunk.state}, {left:,} records left",
    )


@command("send-again")
@click.argument("delivery_id", metavar="DELIVERY", type=_NUMBER)
@reason_option
def send_again(cli: Cli, *, delivery_id: int, reason: str | None) -> None:
    """Attempt a webhook's delivery once more at once."""
    by = acting(reason)
    with with_database(cli) as deps:
        found = webhooks.send_again(deps, delivery_id, by)
    cli.answer(
        webhook_responses.of_delivery(found),
        f"delivery {found.id} of {found.event_id} is attempted again",
    )


@command("requeue")
@click.option("--topic", help="Of this topic alone.")
@reason_option
def requeue(cli: Cli, *, topic: str | None, reason: str | None) -> None:
    """Let all of the outbox that waits after a failure be tried at once."""
    by = acting(reason)
    with with_database(cli) as deps:
        moved = outbox_requeue.requeue(deps, by, topic=topic)
    cli.answer({"requeued": moved}, f"{moved} entries are due now")


COMMANDS: tuple[click.Command, ...] = (give_back, send_again, requeue)
