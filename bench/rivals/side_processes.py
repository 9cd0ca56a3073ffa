"""Programs of the benchmark that run as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.installations.builds import ROOT

_LOOK_S = 0.05
_READY_S = 30.0
_STOP_S = 20.0


def run_module(module: str, *words: str, **env: str) -> Any:  # noqa: ANN401 - JSON
    """Run a module to its end; the object that it printed."""
    done = subprocess.run(
        (sys.executable, "-P", "-m", module, *words),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}: {done.stderr[-3000:]}")
    return json.loads(done.stdout)


@contextmanager
def serving(
    module: str, folder: Path, *words: str, **env: str
) -> Iterator[tuple[int, int]]:
    """Run a server that writes its port into a file; its process id and its port."""
    port_file = folder / f"{module}.port"
    port_file.unlink(missing_ok=True)
    with (folder / f"{module}.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", module, port_file, *words),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
            stdout=log,
            stderr=log,
        )
    try:
        began_s = time.perf_counter()
        while not port_file.exists():
            if process.poll() is not None or time.perf_counter() - began_s > _READY_S:
                raise RuntimeError(
                    f"{module}: {(folder / f'{module}.log').read_text()}"
                )
            time.sleep(_LOOK_S)
        yield process.pid, int(port_file.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
