"""What can be done to a job, its chunks, and those whom its end is told to."""

from starlette.exceptions import HTTPException
from wtforms import SelectField

from storage.job_priority import Priority
from storage.jobs import job_reports, jobs
from storage.jobs.job_reports import JobReport
from storage.operations import chunk_reports
from storage.operations.action_log import Acting
from storage.operations.bulk_jobs import BulkVerb
from storage.state_machine import ChunkState, JobState
from storage.webhooks import webhook_deliveries
from worker.console.console_actions import Aim, ConsoleAction, Offer, offer
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.visits import Visit
from worker.jobs import job_control, job_retry
from worker.operations import chunk_recall, turn_order
from worker.webhooks import webhooks

_ENDED_BADLY = frozenset({JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})
_BEGINS = frozenset({JobState.QUEUED, JobState.RUNNING})
_RESTS = frozenset({JobState.PAUSING, JobState.PAUSED})


_DIGITS_MAX = 18


class PriorityForm(ActionForm):
    """How urgent a job is to be, and why."""

    priority = SelectField(
        "Priority",
        choices=[one.word for one in Priority],  # type: ignore[misc]  # newer than its types
        default="normal",
    )


def _job(visit: Visit, job_id: str) -> Aim:
    with visit.deps.database.reading() as connection:
        report = job_reports.job(connection, job_id)
    if report is None:
        raise HTTPException(404, "there is no such job")
    title = f"{report.name or report.id} of {report.license_id} ({report.state})"
    return Aim(
        report.id,
        title,
        report.license_id,
        f"{PATH}/jobs/{report.id}",
        report.state,
        {"priority": report.priority.word},
    )


def _pause(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    job_control.pause(visit.deps, aim.id, by)


def _resume(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    job_control.resume(visit.deps, aim.id, by)


def _cancel(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    job_control.cancel(visit.deps, aim.id, by)


def _give_up(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    job_control.give_up(visit.deps, aim.id, by)


def _retry(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> str:
    return f"{PATH}/jobs/{job_retry.retry(visit.deps, aim.id, by=by)}"


def _set_priority(visit: Visit, aim: Aim, by: Acting, form: PriorityForm) -> None:
    wanted = Priority[form.priority.data.upper()]
    turn_order.set_priority(visit.deps, aim.id, wanted, by)


PAUSE = ConsoleAction(
    name="pause",
    title="Pause",
    effect="Batches that are under way end, then it rests. It keeps its reservation, "
    "until that passes its deadline.",
    find=_job,
    act=_pause,
    states=_BEGINS,
)
RESUME = ConsoleAction(
    name="resume",
    title="Resume",
    effect="It goes on where it stood. If it was parked because too much was "
    "rejected, it goes on however much is rejected.",
    find=_job,
    act=_resume,
    states=_RESTS,
)
CANCEL = ConsoleAction(
    name="cancel",
    title="Cancel",
    effect="It stops for good. What was delivered stays charged and in its file, the "
    "rest of its reservation is released.",
    find=_job,
    act=_cancel,
    states=_BEGINS | _RESTS,
)
RETRY = ConsoleAction(
    name="retry",
    title="Retry the rejected",
    effect="A new job tries its rejected and unreached records again, at the terms of "
    "its quote, with a reservation of its own.",
    find=_job,
    act=_retry,
    states=_ENDED_BADLY,
)
GIVE_UP = ConsoleAction(
    name="give-up",
    title="Give up",
    effect="It ends as failed, without a file, and all that it was charged is "
    "refunded.",
    find=_job,
    act=_give_up,
    states=frozenset({JobState.FINISHING}),
)
SET_PRIORITY = ConsoleAction(
    name="priority",
    title="Change priority",
    effect="Its chunks go sooner or later among those of its license. It takes "
    "nothing from other licenses.",
    find=_job,
    act=_set_priority,
    form=PriorityForm,
    states=_BEGINS | _RESTS,
)

_OF_JOBS = (PAUSE, RESUME, SET_PRIORITY, RETRY, CANCEL, GIVE_UP)


def job_offers(job: JobReport) -> list[Offer]:
    """What a job's state allows."""
    return [
        offer(action, job.id)
        for action in _OF_JOBS
        if action.states is None or job.state in action.states
    ]


def _is_id(given: str) -> bool:
    return given.isdecimal() and len(given) <= _DIGITS_MAX


def _chunk(visit: Visit, chunk_id: str) -> Aim:
    if not _is_id(chunk_id):
        raise HTTPException(404, "there is no such chunk")
    with visit.deps.database.reading() as connection:
        chunk = chunk_reports.chunk(connection, int(chunk_id))
    if chunk is None:
        raise HTTPException(404, "there is no such chunk")
    return Aim(
        chunk_id,
        f"Chunk {chunk_id} of {chunk.job_id} ({chunk.state})",
        chunk.license_id,
        f"{PATH}/jobs/{chunk.job_id}?chunk={chunk_id}",
        chunk.state,
    )


def _give_back(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    chunk_recall.give_back(visit.deps, int(aim.id), by)


GIVE_BACK = ConsoleAction(
    name="give-back",
    title="Take it from its worker",
    effect="Another worker goes on from its cursor. What is settled stays settled, "
    "and whatever this worker still does of it is fenced off.",
    find=_chunk,
    act=_give_back,
    states=frozenset({ChunkState.RUNNING}),
)


def chunk_offers(chunk: chunk_reports.ChunkReport) -> list[Offer]:
    """What a chunk's state allows."""
    is_held = chunk.state is ChunkState.RUNNING
    return [offer(GIVE_BACK, chunk.id)] if is_held else []


def _delivery(visit: Visit, delivery_id: str) -> Aim:
    if not _is_id(delivery_id):
        raise HTTPException(404, "there is no such delivery")
    with visit.deps.database.reading() as connection:
        license_id = webhook_deliveries.license_of(connection, int(delivery_id))
        about = webhook_deliveries.subject_of(connection, int(delivery_id))
        is_job = about is not None and jobs.license_of(connection, about) is not None
    back = f"{PATH}/jobs/{about}" if is_job else f"{PATH}/jobs"
    return Aim(delivery_id, f"Delivery {delivery_id}", license_id, back)


def _send_again(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    webhooks.send_again(visit.deps, int(aim.id), by)


SEND_AGAIN = ConsoleAction(
    name="send-again",
    title="Send again",
    effect="It is attempted once more at once, whatever became of it before.",
    find=_delivery,
    act=_send_again,
)

ACTIONS = (*_OF_JOBS, GIVE_BACK, SEND_AGAIN)

EFFECTS = {
    BulkVerb.PAUSE: PAUSE.effect,
    BulkVerb.RESUME: RESUME.effect,
    BulkVerb.CANCEL: CANCEL.effect,
    BulkVerb.RETRY: RETRY.effect,
    BulkVerb.GIVE_UP: f"{GIVE_UP.effect} Only those whose completion has failed.",
}
"""What a verb does to each of many jobs."""
