"""The pace of jobs: records a second, by what was seen of each a little while ago."""

from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

from storage.operations.overview import OpenJob

_WITHIN = timedelta(minutes=2)
_APART = timedelta(seconds=5)
_LEAST_S = 10.0


class Pace(NamedTuple):
    """Records a second, and how long it takes to the end at that; None: not known."""

    records_s: float | None
    left_s: float | None


class _Seen(NamedTuple):
    at: datetime
    done: int


class PaceMemory:
    """Remembers for a few minutes how far jobs were; one that is new goes by its start.

    Only of jobs that run, and only as long as somebody looks.
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[_Seen]] = {}

    def note(self, jobs: tuple[OpenJob, ...], at: datetime) -> None:
        """Remember how far these jobs are; of others nothing is known any more."""
        self._seen = {job.id: self._noted(job, at) for job in jobs}

    def _noted(self, job: OpenJob, at: datetime) -> deque[_Seen]:
        seen = self._seen.get(job.id, deque())
        if not seen or at - seen[-1].at >= _APART:
            seen.append(_Seen(at, job.done))
        while seen and at - seen[0].at > _WITHIN:
            seen.popleft()
        return seen

    def of(self, job: OpenJob, at: datetime) -> Pace:
        """How fast a job has been lately."""
        began = self._began(job, at)
        if began is None or job.state != "running":
            return Pace(None, None)
        elapsed_s = (at - began.at).total_seconds()
        if elapsed_s <= 0:
            return Pace(None, None)
        records_s = max(0, job.done - began.done) / elapsed_s
        left = job.records - job.done
        return Pace(records_s, left / records_s if records_s else None)

    def _began(self, job: OpenJob, at: datetime) -> _Seen | None:
        seen = self._seen.get(job.id)
        if seen and (at - seen[0].at).total_seconds() >= _LEAST_S:
            return seen[0]
        return None if job.started_at is None else _Seen(job.started_at, 0)
