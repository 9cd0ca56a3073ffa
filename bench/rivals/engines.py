"""Other engines at work: their processes, and one job run by them from start to end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.installations.builds import ROOT
from bench.installations.process_tree import cpu_by_role, since
from bench.rivals import product
from bench.rivals.chunk_task import Slice
from bench.rivals.rival_database import RivalDatabase
from storage.ledger.settlement import Payer

_STOP_S = 20.0
_PYTHON = (sys.executable, "-P", "-m")
_TASKS = "bench.rivals.{}_tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """What one job cost an engine: its processes with PostgreSQL and the broker."""

    wall_s: float
    own_cpu_s: float
    postgres_cpu_s: float
    broker_cpu_s: float

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all."""
        return self.own_cpu_s + self.postgres_cpu_s + self.broker_cpu_s


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine with two worker processes, on the rivals' database."""

    name: str
    rivals: RivalDatabase
    env: dict[str, str]
    processes: "Sequence[subprocess.Popen[bytes]]"

    def run(self, path: Path, count: int, places: Sequence[Slice]) -> EngineRun:
        """Queue a job's chunks and wait for its end; hold it to its totals."""
        payer = self.rivals.new_job(count, len(places))
        folder = path.with_name(payer.job_id)
        folder.mkdir()
        common = {
            "payer": product.payer_as_json(payer),
            "path": str(path),
            "folder": str(folder),
        }
        # One that is given no places makes its own tasks of the whole file.
        tasks = [common | {"place": place} for place in places] or common
        (folder / "tasks.json").write_text(json.dumps(tasks))
        words = ["enqueue"] if self.name == "procrastinate" else []
        self.rivals.installation.rows("CHECKPOINT")
        measured = self.measure(payer, [*words, str(folder / "tasks.json")])
        self.rivals.check(payer, count)
        shutil.rmtree(folder)
        return measured

    def measure(self, payer: Payer, words: Sequence[str]) -> EngineRun:
        """Run the module that queues, and wait for the job's end."""
        before, own_s = cpu_by_role(self.rivals.installation.pid), self._own_cpu_s()
        began_s = time.perf_counter()
        queued_s = float(_printed([*_program(self.name), *words], self.env) or 0)
        self.rivals.wait(payer)
        wall_s = time.perf_counter() - began_s
        used = since(cpu_by_role(self.rivals.installation.pid), before)
        return EngineRun(
            wall_s=wall_s,
            own_cpu_s=self._own_cpu_s() - own_s + queued_s,
            postgres_cpu_s=used.get("postgres", 0),
            broker_cpu_s=used.get("valkey", 0),
        )

    def _own_cpu_s(self) -> float:
        return sum(sum(cpu_by_role(one.pid).values()) for one in self.processes)


def _program(name: str) -> list[str]:
    """Runs the main of an engine's module; as `-m` its tasks would be `__main__`'s."""
    run_main = f"from {_TASKS.format(name)} import main; main()"
    return [sys.executable, "-P", "-c", run_main]


def _printed(command: Sequence[str], env: dict[str, str]) -> str:
    """Run a process of ours to its end; what it printed."""
    return subprocess.run(
        command, env=env, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def _workers(name: str) -> list[list[str]]:
    module = _TASKS.format(name)
    if name == "procrastinate":
        return [[*_program(name), "worker"]] * 2
    if name == "dramatiq":
        return [[*_PYTHON, "dramatiq", module, "-p", "2", "-t", "1"]]
    quiet = ("-l", "WARNING", "--without-gossip", "--without-mingle")
    return [[*_PYTHON, "celery", "-A", module, "worker", "-c", "2", *quiet]]


@contextmanager
def engine(name: str, rivals: RivalDatabase, style: str = "rows") -> Iterator[Engine]:
    """Start an engine's workers, and end them with the block."""
    broker = str(rivals.installation.note["broker_url"])
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "RIVAL_DATABASE": rivals.url,
        "RIVAL_BROKER": broker.replace("redis+socket", "unix"),
        "RIVAL_CELERY_BROKER": broker,
        "RIVAL_STYLE": style,
    }
    if name == "procrastinate" and not _has_its_tables(rivals):
        _printed([*_program(name), "schema"], env)
    with (rivals.installation.folder / f"{name}.log").open("ab") as log:
        processes = [
            subprocess.Popen(
                command,
                env=env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            for command in _workers(name)
        ]
    try:
        yield Engine(name, rivals, env, processes)
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _has_its_tables(rivals: RivalDatabase) -> bool:
    return bool(
        rivals.installation.rows(
            "SELECT 1 FROM pg_class WHERE relname = 'procrastinate_jobs'",
            database="rivals",
        )
    )
