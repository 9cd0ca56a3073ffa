"""What every command has: `--home` and `--json`, its settings, and how it answers."""

import functools
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.responses.response import Answer

if TYPE_CHECKING:
    from worker.infrastructure.settings import Settings

_HOME, _JSON = f"{__name__}.home", f"{__name__}.json"
"""Where click keeps what the groups before a command were told."""


@dataclass(frozen=True, slots=True)
class Cli:
    """The settings of this call, and whether it answers in JSON."""

    settings: "Settings"
    json: bool

    def answer(self, answer: Answer, human: str) -> None:
        """Print the answer's object, or the same for a person."""
        click.echo(json.dumps(answer) if self.json else human)

    def say(self, human: str) -> None:
        """Print something for a person alone."""
        if not self.json:
            click.echo(human)


def _everywhere(function: Callable[..., None]) -> Callable[..., None]:
    """The options that every command takes, and every group before its command."""
    home = click.option("--home", type=click.Path(path_type=Path), help="Home folder.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    return home(as_json(function))


def group(
    name: str,
    kind: type[click.Group] = click.Group,
    *,
    alone: click.Command | None = None,
) -> Callable[[Callable[..., None]], click.Group]:
    """A group of commands; what it is told counts for the command after it.

    `alone` is the command that its name stands for where none follows; options of the
    group are that command's.
    """

    def decorate(function: Callable[..., None]) -> click.Group:
        @_everywhere
        @functools.wraps(function)
        def run(*, home: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
            context = click.get_current_context()
            context.meta[_HOME] = home or context.meta.get(_HOME)
            context.meta[_JSON] = as_json or context.meta.get(_JSON, False)
            if alone is not None and context.invoked_subcommand is None:
                context.invoke(alone, home=None, as_json=False, **options)
            elif any(options.values()):
                raise click.UsageError("options go with no command of the group")

        settings = {"help_option_names": ["-h", "--help"]}
        without = {"invoke_without_command": alone is not None}
        return click.group(name, kind, context_settings=settings, **without)(run)

    return decorate


def command(
    name: str,
    *,
    negative_numbers: bool = False,
    hidden: bool = False,
) -> Callable[[Callable[..., None]], click.Command]:
    """A command that takes `--home` and `--json`, and a `Cli` first.

    With `negative_numbers`, `-5` is an argument for us to judge, not an option. A
    `hidden` one is for processes of ours.
    """
    context = {"ignore_unknown_options": negative_numbers}

    def decorate(function: Callable[..., None]) -> click.Command:
        @_everywhere
        @functools.wraps(function)
        def run(*, home: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
            logging.basicConfig(level=logging.WARNING, format="%(message)s")
            before = click.get_current_context().meta
            cli = Cli(
                _settings(home or before.get(_HOME)),
                as_json or before.get(_JSON, False),
            )
            function(cli, **options)

        return click.command(name, context_settings=context, hidden=hidden)(run)

    return decorate


def _settings(home: Path | None) -> "Settings":
    from worker.infrastructure.settings import Settings  # noqa: PLC0415 - `--help` needs none

    if home is not None:
        # So that each process started from here finds the same home.
        os.environ["HOLDFAST_HOME"] = str(home.expanduser().absolute())
    settings = Settings()
    if not settings.under_up:
        _tell_of_unknown(settings)
    return settings


def _tell_of_unknown(settings: "Settings") -> None:
    """Say which variables mean nothing: one that is mistyped changes nothing."""
    for name, nearest in settings.unknown.items():
        hint = f": did you mean {nearest}?" if nearest else ""
        logging.getLogger(__name__).warning("%s is no setting%s", name, hint)
