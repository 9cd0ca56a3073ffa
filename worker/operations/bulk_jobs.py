"""One verb for all jobs that a filter matches: counted first, then one by one.

Each job is steered in a transaction of its own, with an action of its own; one more
action is for the whole. What does not fit any more when its turn comes is skipped.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from storage.jobs.job_reports import WantedJobs
from storage.operations import action_log, bulk_jobs
from storage.operations.action_log import Acting, Target
from storage.operations.bulk_jobs import BulkVerb
from worker.infrastructure.errors import BadInput, Code, Refused, bad
from worker.infrastructure.ids import new_id
from worker.jobs import job_control, job_retry
from worker.jobs.delivery import JobDeps


class BulkResult(NamedTuple):
    """What a verb came to: the jobs it fitted, those it moved, and those it did not.

    `bulk_id` is what the actions share; None where nothing was to be done.
    """

    matched: int
    done: int = 0
    skipped: int = 0
    bulk_id: str | None = None


def _retry(deps: JobDeps, job_id: str, by: Acting) -> bool:
    job_retry.retry(deps, job_id, by=by)
    return True


_STEER: Mapping[BulkVerb, Callable[[JobDeps, str, Acting], bool]] = {
    BulkVerb.PAUSE: job_control.pause,
    BulkVerb.RESUME: job_control.resume,
    BulkVerb.CANCEL: job_control.cancel,
    BulkVerb.RETRY: _retry,
    BulkVerb.GIVE_UP: job_control.give_up,
}


def count(deps: JobDeps, verb: BulkVerb, wanted: WantedJobs) -> BulkResult:
    """Of how many jobs a verb would be asked now; nothing is changed.

    Raises `BadInput` for a filter that names nothing.
    """
    _check(wanted)
    with deps.database.transaction() as connection:
        return BulkResult(bulk_jobs.count(connection, verb, wanted))


def steer(
    deps: JobDeps,
    verb: BulkVerb,
    wanted: WantedJobs,
    by: Acting,
    *,
    expected: int | None = None,
) -> BulkResult:
    """Ask a verb of all jobs that are wanted and that it fits, the oldest first.

    Raises `BadInput` for a filter that names nothing, and `Refused`, before anything is
    changed, where it matches more than `expected`, or more than may be asked at once.
    """
    _check(wanted)
    at_most = deps.settings.bulk_jobs_max
    with deps.database.transaction() as connection:
        matched = bulk_jobs.count(connection, verb, wanted)
        job_ids = bulk_jobs.ids(connection, verb, wanted, limit=at_most)
    if expected is not None and matched > expected:
        raise Refused(
            Code.WRONG_STATE, f"{matched} jobs match by now, more than {expected}"
        )
    if matched > at_most:
        detail = (
            f"{matched} jobs match, and {at_most} may be steered at once: narrow the "
            "filter, by its dates for example, and ask again for the rest"
        )
        raise Refused(Code.TOO_LARGE, detail)
    return _each(deps, verb, job_ids, by, wanted.license_id)


def _check(wanted: WantedJobs) -> None:
    if wanted == WantedJobs():
        raise bad("filter", "must name something: a license, a state, a date")


def _each(
    deps: JobDeps,
    verb: BulkVerb,
    job_ids: list[str],
    by: Acting,
    license_id: str | None,
) -> BulkResult:
    if not job_ids:
        return BulkResult(0)
    bulk_id, done = new_id("bulk"), 0
    each = by._replace(bulk_id=bulk_id)
    for job_id in job_ids:
        try:
            done += _STEER[verb](deps, job_id, each)
        except (Refused, BadInput):
            # It moved on meanwhile, or its credits do not suffice: that is its own.
            continue
    if done:
        with deps.database.transaction() as connection:
            target = Target("jobs", bulk_id, license_id)
            action_log.note(connection, each, verb, target, affected=done)
    return BulkResult(len(job_ids), done, len(job_ids) - done, bulk_id)


def of_license(wanted: WantedJobs, license_id: str | None) -> WantedJobs:
    """The same filter for whoever sees one license alone.

    Raises `Refused` where it names another one.
    """
    if license_id is None or wanted.license_id == license_id:
        return wanted
    if wanted.license_id is not None:
        raise Refused(Code.NOT_FOUND, f"there is no {wanted.license_id}")
    return replace(wanted, license_id=license_id)
