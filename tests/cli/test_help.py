"""What the command line says of itself: help, examples, nearest names, completion."""

import shlex
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from worker.cli import holdfast
from worker.cli.command_examples import EXAMPLES
from worker.cli.command_table import COMMANDS

_EXIT_BAD = 2


def _said(*words: str) -> str:
    return CliRunner().invoke(holdfast, words).output


@pytest.mark.parametrize(
    "example", [one for lines in EXAMPLES.values() for one in lines]
)
def test_each_example_is_what_the_command_takes(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(example)
    assert program == "holdfast"
    for word in words:
        if word.endswith((".csv", ".jsonl")):
            Path(word).touch()
    _parse(holdfast, None, words)


def _parse(
    command: click.Command, parent: click.Context | None, words: list[str]
) -> None:
    """Take words as a command does, without running it."""
    context = click.Context(command, parent=parent, info_name=command.name)
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, found, rest = command.resolve_command(context, words)
        assert found is not None
        _parse(found, context, rest)
    else:
        command.parse_args(context, words)


def test_examples_stand_below_the_options_as_they_are_typed():
    said = _said("top-up", "--help")
    assert "Examples:\n  " in said
    assert f"  {EXAMPLES['top-up'][0]}\n" in said


def test_examples_are_of_commands_that_there_are():
    assert EXAMPLES.keys() <= COMMANDS.keys()


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("blance",), "balance"),
        (("keys", "creat"), "create"),
        (("balance", "--hom", "x", "acme"), "--home"),
    ],
)
def test_what_is_mistyped_is_told_with_the_nearest_there_is(words, nearest):
    refused = CliRunner().invoke(holdfast, words)
    assert refused.exit_code == _EXIT_BAD
    assert "Did you mean" in refused.output
    assert nearest in refused.output


def test_the_version_is_said():
    assert "version 0." in _said("--version")


@pytest.mark.parametrize(
    ("before", "typed", "offered"),
    [
        ((), "bal", "balance"),
        (("keys",), "rev", "revoke"),
        (("jobs",), "--st", "--state"),
    ],
)
def test_a_shell_is_offered_what_may_follow(before, typed, offered):
    shell = ShellComplete(holdfast, {}, "holdfast", "_HOLDFAST_COMPLETE")
    completions = shell.get_completions(list(before), typed)
    assert offered in [one.value for one in completions]


def test_no_shell_is_offered_what_is_for_processes_of_ours():
    shell = ShellComplete(holdfast, {}, "holdfast", "_HOLDFAST_COMPLETE")
    offered = {one.value for one in shell.get_completions([], "")}
    assert not offered & {name for name, place in COMMANDS.items() if not place.does}
