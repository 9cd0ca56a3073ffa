"""What a block costs an installation: time, CPU by role, WAL."""

import time
from dataclasses import dataclass, field
from types import TracebackType

from bench.installations.installation import Installation
from bench.installations.process_tree import cpu_by_role, since


@dataclass(slots=True)
class Usage:
    """Wall seconds, CPU seconds by role, bytes of WAL."""

    wall_s: float = 0.0
    by_role: dict[str, float] = field(default_factory=dict)
    wal_bytes: float = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all processes, PostgreSQL's with them."""
        return sum(self.by_role.values())

    def __add__(self, other: "Usage") -> "Usage":
        """Both one after the other."""
        both = {*self.by_role, *other.by_role}
        by_role = {
            role: self.by_role.get(role, 0) + other.by_role.get(role, 0)
            for role in both
        }
        wall_s = self.wall_s + other.wall_s
        return Usage(wall_s, by_role, self.wal_bytes + other.wal_bytes)


class Meter:
    """Measures its block; `usage` is filled in at its end."""

    def __init__(self, installation: Installation) -> None:
        self.usage = Usage()
        self._of = installation
        self._wal_bytes, self._began_s = 0.0, 0.0
        self._cpu: dict[str, float] = {}

    def __enter__(self) -> Usage:
        self._wal_bytes = self._of.written_bytes()
        self._cpu = cpu_by_role(self._of.pid)
        self._began_s = time.perf_counter()
        return self.usage

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.usage.wall_s = time.perf_counter() - self._began_s
        self.usage.by_role = since(cpu_by_role(self._of.pid), self._cpu)
        self.usage.wal_bytes = self._of.written_bytes() - self._wal_bytes
