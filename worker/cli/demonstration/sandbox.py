"""`sandbox`: providers and CRMs on this machine, with faults on demand."""

import asyncio

import click

from worker.cli.invocation import Cli, command
from worker.sandbox import Behaviour, Fault, serve


@command("sandbox")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, show_default=True, type=int, help="0 picks one.")
@click.option("--latency-ms", default=50.0, show_default=True, type=float)
@click.option("--finish-ms", default=500.0, show_default=True, type=float)
@click.option("--hit-rate", default=0.7, show_default=True, type=click.FloatRange(0, 1))
@click.option("--fault", type=click.Choice([fault.value for fault in Fault]))
@click.option("--times", default=1, show_default=True, type=int, help="Of the fault.")
def sandbox(
    cli: Cli,
    *,
    host: str,
    port: int,
    latency_ms: float,
    finish_ms: float,
    hit_rate: float,
    fault: str | None,
    times: int,
) -> None:
    """Serve stand-ins of the providers and of CRMs until Ctrl-C."""
    del cli
    behaviour = Behaviour(
        latency_ms=latency_ms,
        finish_ms=finish_ms,
        hit_rate=hit_rate,
        fault=Fault(fault) if fault else None,
        times=times,
    )
    asyncio.run(
        serve(behaviour, host, port, ready=lambda url: click.echo(f"ready {url}"))
    )


COMMANDS: tuple[click.Command, ...] = (sandbox,)
