"""`explain`: why a charge cost what it did, in sentences."""

import click

from worker.cli.invocation import Cli, command
from worker.cli.servers import with_database
from worker.finance.explanations import explanations


@command("explain")
@click.argument("charge", type=click.IntRange(1, (1 << 63) - 1))
def explain(cli: Cli, *, charge: int) -> None:
    """Say why CHARGE cost what it did, in sentences for a customer."""
    with with_database(cli) as deps:
        answer = explanations.explain(deps, charge)
    cli.answer(answer, "\n".join(answer["sentences"]))


COMMANDS: tuple[click.Command, ...] = (explain,)
