"""What a process of ours says of itself: where it is, which version, how large."""

import os
import socket
from functools import cache
from importlib import metadata
from pathlib import Path

from storage.jobs.heartbeats import About

_PROC = Path("/proc")


def about(*, drains: bool = False) -> About:
    """What this process says of itself now."""
    return About(
        host=socket.gethostname(),
        pid=os.getpid(),
        version=_version(),
        rss_bytes=rss_bytes(),
        drains=drains,
    )


@cache
def _version() -> str:
    return metadata.version("holdfast")


def rss_bytes() -> int | None:
    """The resident memory of this process and all below it; None without `/proc`.

    What parent and child share counts for each.
    """
    if not (_PROC / "self/statm").exists():
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(_pages(pid) for pid in _family(os.getpid())) * page


def _pages(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        # It has ended since it was named.
        return 0


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    family = [pid]
    for tasks in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue
        for child in children:
            family += _family(int(child))
    return family
