"""The guardian: ends what a supervisor left behind when it was killed.

Each child of a supervisor, with all that it starts, holds a lock on a file of its own
for as long as any of them lives; in the file stand its kind and its process group.
When its standard input closes, the guardian ends all that are left: the work first,
then broker and database. It holds the home's lock until then. It runs alone, on the
standard library only. Where it was killed too, the home's next owner does the same.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_STEP_S = 0.05
_GRACE_S = 10.0
_ORDER = (
    ("work", signal.SIGTERM),
    ("broker", signal.SIGTERM),
    ("database", signal.SIGINT),
)


def main() -> None:
    """Wait until nobody is there who could do it better, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    end_left(Path(sys.argv[1]))


def end_left(children: Path) -> None:
    """End all that lives of a supervisor that is gone; `children` has their locks."""
    for kind, number in _ORDER:
        left = {
            path: int(group)
            for path in children.glob("*.lock")
            for found, _, group in [path.read_text().partition(" ")]
            if found == kind and _is_held(path)
        }
        _end(left, number)


def _end(left: dict[Path, int], number: signal.Signals) -> None:
    """Ask each to end, and end what has not after a while, with all it started."""
    for group in left.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, number)
    _wait_for(left)
    for group in left.values():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    _wait_for(left)


def _wait_for(paths: Iterable[Path]) -> None:
    until_s = time.monotonic() + _GRACE_S
    while any(_is_held(path) for path in paths) and time.monotonic() < until_s:
        time.sleep(_STEP_S)


def _is_held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    main()
