"""Whose turn it is: steered by operators, and told to them.

What is told is how it would go from now on, as the scheduler has it, where places are
short: a round more or less where it stands in the middle of one, and sooner where a
license has less to hand out than it may.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from sqlalchemy import Connection

from storage.job_priority import Priority
from storage.jobs import jobs
from storage.licenses import licenses
from storage.operations import action_log, turn_order
from storage.operations.action_log import Acting, Target
from storage.operations.turn_order import WaitingJob, WaitingLicense
from storage.state_machine import JobState
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.settings import Settings
from worker.jobs.fair_scheduler import OVERTAKEN_MAX

WEIGHT_MIN, WEIGHT_MAX = Decimal("0.25"), Decimal(4)
_STEP = Decimal("0.01")

_STILL_BEGINS = frozenset(
    {JobState.QUEUED, JobState.RUNNING, JobState.PAUSING, JobState.PAUSED}
)
"""The states of a job that may still begin chunks."""


def set_weight(
    deps: Deps, license_id: str, weight: Decimal, by: Acting | None = None
) -> bool:
    """Let a license have this many times the share of one that weighs 1.

    Whether it had another one. Raises `BadInput`, and `Refused` without the license.
    """
    if not WEIGHT_MIN <= weight <= WEIGHT_MAX or weight % _STEP:
        raise bad("weight", "must be 0.25 to 4, with at most two decimals")
    with deps.database.transaction() as connection:
        if turn_order.set_weight(connection, license_id, weight):
            if by is not None:
                target = Target("license", license_id, license_id)
                action_log.note(
                    connection, by, f"set_weight {weight.normalize():f}", target
                )
            return True
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
    return False


def set_priority(
    deps: Deps, job_id: str, priority: Priority, by: Acting | None = None
) -> bool:
    """Let a job's chunks go sooner or later among those of its license.

    Whether it had another one. Raises `Refused` without the job, and where it stops
    or has ended.
    """
    with deps.database.transaction() as connection:
        if turn_order.set_priority(connection, job_id, priority):
            if by is not None:
                target = Target("job", job_id, jobs.license_of(connection, job_id))
                action_log.note(connection, by, f"set_priority {priority.word}", target)
            return True
        state = jobs.state_of(connection, job_id)
    if state is None:
        raise Refused(Code.NOT_FOUND, f"there is no job {job_id}")
    if state not in _STILL_BEGINS:
        raise Refused(Code.WRONG_STATE, f"{job_id} is {state}")
    return False


class LicenseTurn(NamedTuple):
    """A license that waits in one of the two queues.

    `share` is its part of that queue's places while all that wait now do so, `rounds`
    in how many of them the first of its chunks goes at the latest.
    """

    waiting: WaitingLicense
    share: float
    rounds: int


def license_turns(deps: Deps) -> list[LicenseTurn]:
    """Who waits, those of small jobs first, then by license."""
    with deps.database.reading() as connection:
        found = turn_order.waiting_licenses(
            connection, small_job_records=deps.settings.small_job_records
        )
    totals = {
        small: sum(one.weight for one in found if one.is_small is small)
        for small in (True, False)
    }
    return [
        LicenseTurn(
            one,
            one.weight / totals[one.is_small],
            ceil(_cost(one, 1) / _earned(deps.settings, one)),
        )
        for one in found
    ]


class JobTurn(NamedTuple):
    """When the first waiting chunk of a job goes, at the latest.

    Before it go so many `chunks` of its own license, and so many of `others` within
    the same `rounds`.
    """

    chunks: int
    rounds: int
    others: dict[str, int]


def job_turn(deps: Deps, job_id: str) -> JobTurn | None:
    """When a job's turn comes; None where nothing of it waits to be handed out."""
    with deps.database.reading() as connection:
        place = _place_of(deps, connection, job_id)
        waiting = turn_order.waiting_licenses(
            connection, small_job_records=deps.settings.small_job_records
        )
        license_id = jobs.license_of(connection, job_id)
    if place is None:
        return None
    queue = [one for one in waiting if one.is_small is place.job.is_small]
    own = next((one for one in queue if one.license_id == license_id), None)
    if own is None:
        return None
    rounds = ceil(_cost(own, place.before + 1) / _earned(deps.settings, own))
    others = {
        one.license_id: min(one.chunks, _goes_in(deps.settings, one, rounds))
        for one in queue
        if one is not own
    }
    return JobTurn(place.before, rounds, others)


def waits_behind(deps: Deps, connection: Connection, job_id: str) -> int | None:
    """Behind how many chunks of its license a job waits at the most.

    None where nothing of it waits to be handed out.
    """
    place = _place_of(deps, connection, job_id)
    return None if place is None else place.before


class _Place(NamedTuple):
    """What waits of a job, and how many chunks of its license go before it."""

    job: WaitingJob
    before: int


def _place_of(deps: Deps, connection: Connection, job_id: str) -> _Place | None:
    beside = turn_order.jobs_beside(
        connection, job_id, small_job_records=deps.settings.small_job_records
    )
    job = next((one for one in beside if one.job_id == job_id), None)
    if job is None:
        return None
    queue = [one for one in beside if one.is_small is job.is_small]
    return _Place(job, chunks_before(job, queue))


def chunks_before(job: WaitingJob, beside: Sequence[WaitingJob]) -> int:
    """How many chunks of its license go before a job's first one, at the most.

    `beside` are those of its license and queue, the oldest first, itself among them.
    """
    at = beside.index(job)
    older = _chunks(beside[:at])
    more_urgent = _chunks(one for one in beside if one.priority > job.priority)
    equal = _chunks(one for one in beside[:at] if one.priority is job.priority)
    less_urgent = _chunks(one for one in beside[:at] if one.priority < job.priority)
    by_priority = more_urgent + equal
    # Of the less urgent the oldest goes before it where it was overtaken too often.
    by_priority += min(less_urgent, by_priority // OVERTAKEN_MAX)
    return min(by_priority, (OVERTAKEN_MAX + 1) * older + OVERTAKEN_MAX)


def _chunks(jobs: Iterable[WaitingJob]) -> int:
    return sum(one.chunks for one in jobs)


def _earned(settings: Settings, one: WaitingLicense) -> float:
    """What a license may spend in a round: records, or chunks of small jobs."""
    return one.weight * (1 if one.is_small else settings.chunk_records)


def _cost(one: WaitingLicense, chunks: int) -> float:
    """What so many of a license's chunks cost, by what they do on average."""
    if one.is_small:
        return chunks
    return one.first_records + (chunks - 1) * one.records / one.chunks


def _goes_in(settings: Settings, one: WaitingLicense, rounds: int) -> int:
    each = 1.0 if one.is_small else one.records / one.chunks
    return int(rounds * _earned(settings, one) / each)
