"""The command line as a person has it: a process for each command."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

_HOLDFAST = (sys.executable, "-P", "-m", "worker.cli")


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
            if file_bytes_max is not None:
                resource.setrlimit(
                    resource.RLIMIT_FSIZE, (file_bytes_max, resource.RLIM_INFINITY)
                )

        return subprocess.run(
            [*_HOLDFAST, *words],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
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
