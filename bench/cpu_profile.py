"""Where the time goes: stacks of the processes, and statements of PostgreSQL.

    .venv-bench/bin/python -m bench.cpu_profile export 50000
    .venv-bench/bin/python -m bench.cpu_profile small 300
    .venv-bench/bin/python -m bench.cpu_profile push 20000

No measurement: sampling and logging cost time themselves. It says what to look at.
"""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from bench.installations import exports
from bench.installations.builds import this_build
from bench.installations.contacts import csv_of
from bench.installations.installation import Installation, installed
from bench.installations.process_tree import roles
from bench.measurements import pushes, small_jobs

_SAMPLES_A_SECOND = "100"
_SHOWN = 25
_WARM = 2000
_SPY = Path(sys.executable).with_name("py-spy")
_SAMPLED = ("api", "worker", "dispatcher")
_DURATION = re.compile(r"duration: ([\d.]+) ms\s+(?:statement|execute [^:]*):\s*(.*)")


@contextmanager
def sampled(installation: Installation) -> Iterator[list[tuple[str, Path]]]:
    """Sample what runs Python inside the block; the stacks, by role.

    A thread without the interpreter's lock waits, or is in a library's own code.
    """
    stacks, spies = [], []
    for pid, role in roles(installation.pid).items():
        if role in _SAMPLED:
            path = installation.folder / f"{role}-{pid}.stacks"
            options = ("--gil", "-r", _SAMPLES_A_SECOND, "-f", "raw", "-d", "3600")
            command = (_SPY, "record", *options, "-o", path, "-p", str(pid))
            quiet = subprocess.DEVNULL
            spies.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
            stacks.append((role, path))
    time.sleep(2)  # they say nothing when they have begun
    try:
        yield stacks
    finally:
        for spy in spies:
            spy.send_signal(signal.SIGINT)
        for spy in spies:
            spy.wait(60)


def _frames(stacks: Sequence[tuple[str, Path]], role: str) -> tuple[Counter[str], ...]:
    """Samples by the frame that ran, and by all that waited for it; and all."""
    own, inclusive, total = Counter[str](), Counter[str](), Counter[str]()
    for one, path in stacks:
        if one != role or not path.exists():
            continue
        for line in path.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            frames = [re.sub(r":\d+\)", ")", frame) for frame in stack.split(";")]
            own[frames[-1]] += int(count)
            total["samples"] += int(count)
            for frame in {*frames}:
                inclusive[frame] += int(count)
    return own, inclusive, total


def _show_stacks(stacks: Sequence[tuple[str, Path]]) -> None:
    for role in _SAMPLED:
        own, inclusive, total = _frames(stacks, role)
        if not total["samples"]:
            continue
        print(f"\n{role}: {total['samples']} samples")
        for name, counts in (("of itself", own), ("with what it called", inclusive)):
            print(f"  {name}")
            for frame, count in counts.most_common(_SHOWN):
                print(f"    {count / total['samples']:6.1%} {frame}")


@contextmanager
def _logged(installation: Installation) -> Iterator[Path]:
    """Have PostgreSQL log each statement with its duration inside the block."""
    log = next((installation.home / "logs").glob("postgres*"))
    installation.rows("ALTER SYSTEM SET log_min_duration_statement = 0")
    installation.rows("SELECT pg_reload_conf()")
    try:
        yield log
    finally:
        installation.rows("ALTER SYSTEM RESET log_min_duration_statement")
        installation.rows("SELECT pg_reload_conf()")


def statements(log: str) -> list[tuple[float, int, str]]:
    """Milliseconds, calls and first words of the dearest statements of a log."""
    taken_ms, calls = Counter[str](), Counter[str]()
    lines = log.splitlines()
    for at, line in enumerate(lines):
        if found := _DURATION.search(line):
            # A statement that begins with a line's end goes on behind a tab.
            following = lines[at + 1 : at + 4]
            after = takewhile(lambda one: one.startswith("\t"), following)
            words = " ".join([found[2], *(one.strip() for one in after)]).strip()[:90]
            taken_ms[words] += float(found[1])  # type: ignore[assignment]
            calls[words] += 1
    return [(ms, calls[words], words) for words, ms in taken_ms.most_common(_SHOWN)]


def _run(installation: Installation, what: str, count: int) -> None:
    if what == "small":
        small_jobs.run_jobs(installation, count, "quote")
    elif what == "push":
        with pushes.sandbox(installation) as url:
            pushes.pushed(installation, url, csv_of(count), count, audited=False)
    else:
        exports.export(installation, csv_of(count), count, audited=False)


def main() -> None:
    """Profile what the command line says."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    what, count = sys.argv[1], int(sys.argv[2])
    with installed(this_build(), persons=max(count, _WARM)) as installation:
        exports.export(installation, csv_of(_WARM), _WARM)
        with _logged(installation) as log:
            before = len(log.read_text(errors="replace"))
            with sampled(installation) as stacks:
                _run(installation, what, count)
            logged = log.read_text(errors="replace")[before:]
        _show_stacks(stacks)
        print("\nstatements: ms, calls")
        for taken_ms, calls, words in statements(logged):
            print(f"  {taken_ms:9.0f} {calls:7} {words}")


if __name__ == "__main__":
    main()
