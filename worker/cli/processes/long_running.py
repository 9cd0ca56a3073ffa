"""What commands that run for long share: what they need, and how they stop."""

import functools
import os
import signal
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

import click

from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.telemetry import traces
from worker.infrastructure.telemetry.log_format import log_to_stderr

if TYPE_CHECKING:
    from worker.infrastructure.settings import Settings


def say_of_itself(settings: "Settings", role: str) -> None:
    """Log as the settings say, and make traces where they name a collector.

    Raises `NotConfigured` where what makes them is not installed.
    """
    log_to_stderr(settings.log_format)
    try:
        traces.export_to(settings.traces_url, f"holdfast-{role}")
    except traces.MissingExtra as error:
        raise NotConfigured(f"HOLDFAST_TRACES_URL: {error}") from error


def need(settings: "Settings", *names: str) -> None:
    """Raise `NotConfigured` for a setting that is missing."""
    for name in names:
        if not getattr(settings, name):
            raise NotConfigured(f"HOLDFAST_{name.upper()} is not set")


def stop_event() -> Event:
    """An event that TERM and Ctrl-C set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def begins_after(function: Callable[..., None]) -> Callable[..., None]:
    """A command that may be started ahead of what it needs: it waits until FD ends."""

    @click.option("--after", metavar="FD", type=int, hidden=True)
    @functools.wraps(function)
    def run(*arguments: object, after: int | None, **options: object) -> None:
        if after is not None:
            with os.fdopen(after) as gate:
                gate.read()
        function(*arguments, **options)

    return run
