"""The guardian: ends what a supervisor left behind when it was killed.

It is told over its standard input which processes run (`add KIND PID`, `drop PID`).
When that closes, it ends all that are left: the work first, then database and broker.
It holds the home's lock until then. It runs alone, on the standard library only.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_STEP_S = 0.05
_GRACE_S = 10.0


def main() -> None:
    """Listen, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    running: dict[int, str] = {}
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "add":
            running[int(words[1])] = words[0]
        elif verb == "drop":
            running.pop(int(words[0]), None)
    _end([pid for pid, kind in running.items() if kind == "work"], signal.SIGTERM)
    _end([pid for pid, kind in running.items() if kind == "broker"], signal.SIGTERM)
    _end([pid for pid, kind in running.items() if kind == "database"], signal.SIGINT)


def _end(pids: Iterable[int], number: signal.Signals) -> None:
    """Ask each to end, and end what has not after a while, with all it started."""
    left = set(pids)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    until_s = time.monotonic() + _GRACE_S
    while left and time.monotonic() < until_s:
        left = {pid for pid in left if _is_there(pid)}
        time.sleep(_STEP_S)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _is_there(pid: int) -> bool:
    """Whether it runs; one that only waits to be reaped has ended.

    Its supervisor is gone, and the init of a container may reap late or never.
    """
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return status.rpartition(b")")[2].split()[0] != b"Z"


if __name__ == "__main__":
    main()
