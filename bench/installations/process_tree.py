"""What a process and all below it have used, by their roles, as /proc tells it."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.25
_ROLES = ("api", "worker", "dispatcher")
_SERVERS = ("postgres", "valkey", "redis")
_SELF = "up"
"""The role of the root, and of whatever below it has none."""


def _stat(pid: int) -> tuple[int, float] | None:
    """A process' parent, and its CPU seconds with those of children it waited for."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "stat").read_text()
        fields = text[text.rindex(")") + 2 :].split()
        return int(fields[1]), sum(map(int, fields[11:15])) * _TICK_S
    return None


def _role_of(pid: int) -> str | None:
    """What a process is, by the words that it was started with."""
    with suppress(OSError):
        line = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        words = line.replace("\0", " ").split()
        program = Path(words[0]).name if words else ""
        for server in _SERVERS:
            if program.startswith(server):
                return server
        for role in _ROLES:
            if role in words:
                return role
    return None


def roles(root: int) -> dict[int, str]:
    """The living processes from `root` down; a child without a role has its parent's.

    A worker's forks and PostgreSQL's backends are theirs; the root itself is `up`.
    """
    children = defaultdict[int, list[int]](list)
    for pid in (int(path.name) for path in _PROC.glob("[0-9]*")):
        if found := _stat(pid):
            children[found[0]].append(pid)
    told = {root: _SELF}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for pid in children[parent]:
            inherited = told[parent]
            told[pid] = _role_of(pid) or _SELF if inherited == _SELF else inherited
            waiting.append(pid)
    return told


def cpu_by_role(root: int) -> dict[str, float]:
    """CPU seconds (user and system) of all from `root` down, since they began."""
    used = defaultdict[str, float](float)
    for pid, role in roles(root).items():
        if found := _stat(pid):
            used[role] += found[1]
    return dict(used)


def since(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What was used between two looks, by role."""
    return {role: used - before.get(role, 0) for role, used in after.items()}


def backend_cpu_s(pid: int) -> float:
    """CPU seconds of one process alone, to the nanosecond."""
    return int((_PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9


@dataclass(frozen=True, slots=True)
class Memory:
    """What the processes of a role hold: their shares of it in MiB, and how many."""

    pss_mib: float
    processes: int


def memory_by_role(root: int) -> dict[str, Memory]:
    """The proportional set size of all from `root` down: shared pages count once."""
    found: dict[str, Memory] = {}
    for pid, role in roles(root).items():
        with suppress(OSError):
            held = _kib(_PROC / str(pid) / "smaps_rollup", "Pss") / 1024
            before = found.get(role, Memory(0, 0))
            found[role] = Memory(before.pss_mib + held, before.processes + 1)
    return found


def _kib(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", path.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


class PeakMemory:
    """The highest resident set of each process inside the block, by its role."""

    def __init__(self, root: int) -> None:
        self._mib: dict[tuple[str, int], float] = {}
        self._root = root
        self._end = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        for pid in roles(self._root):
            # From here on the kernel counts the peak anew.
            with suppress(OSError):
                (_PROC / str(pid) / "clear_refs").write_text("5")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        for pid, role in roles(self._root).items():
            with suppress(OSError):
                peak = _kib(_PROC / str(pid) / "status", "VmHWM") / 1024
                before = self._mib.get((role, pid), 0)
                self._mib[role, pid] = max(before, peak)

    def largest_mib(self, role: str) -> float:
        """What the largest process of a role has held."""
        return max(self._of(role))

    def all_mib(self, role: str) -> float:
        """What all of a role have held, each at its own peak."""
        return sum(self._of(role))

    def _of(self, role: str) -> list[float]:
        return [held for (one, _), held in self._mib.items() if one == role]
