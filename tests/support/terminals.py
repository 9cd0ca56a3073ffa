"""The command line as a person has it: a process for each command."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.cli import main

_HOLDFAST = (sys.executable, "-P", "-m", "worker.cli")
_TIMEOUT_S = 120


class Terminal:
    """Runs commands on one database and one home."""

    def __init__(self, home: Path, database_url: str, **settings: str) -> None:
        self.home = home
        self._env = dict(os.environ) | {
            "HOLDFAST_HOME": str(home),
            "HOLDFAST_DATABASE_URL": database_url,
            **{f"HOLDFAST_{name}": value for name, value in settings.items()},
        }

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command, as a shell does."""
        return subprocess.Popen(
            [*_HOLDFAST, *words],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, file_bytes_max: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; `file_bytes_max` stands for a disk with so much room."""

        def limit() -> None:
            _limit_files(file_bytes_max)

        return subprocess.run(
            [*_HOLDFAST, *words],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            preexec_fn=limit,
        )

    def answer(self, *words: str) -> dict[str, Any]:
        """The object that a command answers with."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def files(self) -> set[Path]:
        return {path for path in self.home.rglob("*") if path.is_file()}


class WarmTerminal(Terminal):
    """Its commands are forked from a process that has imported what they need.

    Each is a process with its own streams and exit status all the same: what a command
    spends on importing is two seconds of a processor, and says nothing about it.
    """

    def run(
        self, *words: str, file_bytes_max: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        said = self.home.with_name(f"said-{uuid.uuid4().hex}")
        said.mkdir()
        streams = [said / "stdout", said / "stderr"]
        process = _WARM.Process(
            target=_forked, args=(words, self._env, streams, file_bytes_max)
        )
        process.start()
        process.join(_TIMEOUT_S)
        assert process.exitcode is not None, f"{words} did not end"
        output, problems = (path.read_text() for path in streams)
        return subprocess.CompletedProcess(words, process.exitcode, output, problems)


_WARM = multiprocessing.get_context("forkserver")
_COMMANDS = (
    *("exports", "jobs", "licenses", "maintenance"),
    *("finance.reconcile", "finance.statements", "operations.overview"),
)
_WARM.set_forkserver_preload([__name__, *(f"worker.cli.{name}" for name in _COMMANDS)])


def _forked(
    words: tuple[str, ...],
    env: Mapping[str, str],
    streams: list[Path],
    file_bytes_max: int | None,
) -> None:
    os.environ.clear()
    os.environ.update(env)
    for fd, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), fd)
    _limit_files(file_bytes_max)
    sys.argv = ["holdfast", *words]
    main()


def _limit_files(bytes_max: int | None) -> None:
    if bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
