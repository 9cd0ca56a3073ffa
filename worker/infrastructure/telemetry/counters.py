"""The counters of this process: what has happened since they were taken last.

Counting is an addition under a lock. What was counted is carried to the database now
and then, by `worker.operations`: a process that is killed loses some seconds of it.
Whoever counts what a transaction does, counts after its commit.
"""

import os
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from math import inf

from worker.infrastructure.telemetry.metric_families import Family

Sample = tuple[str, tuple[str, ...]]
"""A number's name and the values of its labels."""

BUCKET, SUM = "_bucket", "_sum"
"""How the two numbers are called that a histogram is kept as."""


def bound(seconds: float) -> str:
    """How Prometheus writes the upper bound of a bucket."""
    return "+Inf" if seconds == inf else str(float(seconds))


class Counters:
    """Numbers that only grow, until they are taken."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew; a process that was forked has counted nothing yet."""
        self._lock = threading.Lock()
        self._counted: defaultdict[Sample, float] = defaultdict(float)
        self.waiting = threading.Event()
        """Set while something waits to be taken."""

    def add(self, family: Family, *labels: str, by: float = 1) -> None:
        """Count something; by 0 nothing is."""
        if by:
            with self._lock:
                self._counted[family.name, labels] += by
            self.waiting.set()

    def observe(self, family: Family, seconds: float, *labels: str) -> None:
        """Count how long something took, in its bucket and in the sum of all."""
        place = bisect_left(family.buckets_s, seconds)
        within = bound([*family.buckets_s, inf][place])
        with self._lock:
            self._counted[family.name + BUCKET, (*labels, within)] += 1
            self._counted[family.name + SUM, labels] += seconds
        self.waiting.set()

    def take(self) -> dict[Sample, float]:
        """What was counted since it was last taken."""
        with self._lock:
            counted = dict(self._counted)
            self._counted.clear()
            self.waiting.clear()
        return counted

    def give_back(self, counted: Mapping[Sample, float]) -> None:
        """Count again what could not be kept."""
        with self._lock:
            for sample, number in counted.items():
                self._counted[sample] += number
        self.waiting.set()


COUNTERS = Counters()
"""Of this process."""

os.register_at_fork(after_in_child=COUNTERS.forget)
