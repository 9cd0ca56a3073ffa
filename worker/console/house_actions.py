"""What can be done to more than a job: outbox, workers, weights, and pauses."""

from decimal import Decimal
from urllib.parse import quote

from starlette.exceptions import HTTPException
from wtforms import DecimalField
from wtforms.validators import InputRequired, NumberRange

from storage.licenses import licenses
from storage.operations import scope_pauses as pauses
from storage.operations.action_log import Acting
from storage.operations.processes import Process, ProcessState
from storage.pause_scope import PauseScope
from worker.console.console_actions import Aim, ConsoleAction, Offer, offer
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.page_table import (
    CONNECTIONS,
    JOBS,
    OVERVIEW,
    PROVIDERS,
    QUEUES,
    WORKERS,
)
from worker.console.visits import Visit
from worker.operations import (
    outbox_requeue,
    scope_pauses,
    turn_order,
    worker_drain,
)
from worker.operations.turn_order import WEIGHT_MAX, WEIGHT_MIN

ALL = "all"
"""The target of what is done to all of the house."""

_QUEUES = f"{PATH}{QUEUES.path}"


class WeightForm(ActionForm):
    """What a license is to weigh, and why."""

    weight = DecimalField(
        "Weight, 0.25 to 4",
        [
            InputRequired("a weight is needed: 0.25 to 4"),
            NumberRange(WEIGHT_MIN, WEIGHT_MAX, "weight: 0.25 to 4"),
        ],
    )


def _outbox(_: Visit, target: str) -> Aim:
    if target != ALL:
        raise HTTPException(404, "there is no such outbox")
    return Aim(ALL, "The outbox", None, _QUEUES)


def _requeue(visit: Visit, _: Aim, by: Acting, __: ActionForm) -> None:
    outbox_requeue.requeue(visit.deps, by)


REQUEUE = ConsoleAction(
    name="requeue",
    title="Try the outbox at once",
    effect="Completions, webhook deliveries and dry runs that failed and wait for "
    "their next try are due now.",
    find=_outbox,
    act=_requeue,
    of_house=True,
)


def _license(visit: Visit, license_id: str) -> Aim:
    with visit.deps.database.reading() as connection:
        found = licenses.get(connection, license_id)
    if found is None:
        raise HTTPException(404, "there is no such license")
    title = f"{found.name} ({found.id}), weighs {found.weight:g}"
    return Aim(
        *(found.id, title, found.id, _QUEUES), values={"weight": Decimal(found.weight)}
    )


def _set_weight(visit: Visit, aim: Aim, by: Acting, form: WeightForm) -> None:
    assert form.weight.data is not None  # noqa: S101 - it was validated
    turn_order.set_weight(visit.deps, aim.id, form.weight.data, by)


SET_WEIGHT = ConsoleAction(
    name="weight",
    title="Change weight",
    effect="While chunks of several licenses wait, this one has so many times the "
    "share of one that weighs 1.",
    find=_license,
    act=_set_weight,
    of_house=True,
    form=WeightForm,
)


_WORKS, _DRAINS = "works", "is to drain"


def _worker(visit: Visit, process_id: str) -> Aim:
    found = {one.id: one for one in worker_drain.every(visit.deps)}
    if process_id not in found or found[process_id].role != "worker":
        raise HTTPException(404, "there is no such worker")
    title = f"Worker {process_id} ({found[process_id].state})"
    state = _DRAINS if found[process_id].drain_asked_at else _WORKS
    return Aim(process_id, title, None, f"{PATH}{WORKERS.path}", state)


def _drain(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    worker_drain.drain(visit.deps, aim.id, by)


def _undrain(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    worker_drain.undrain(visit.deps, aim.id, by)


DRAIN = ConsoleAction(
    name="drain",
    title="Drain",
    effect="It ends its batches, gives its chunks back and takes nothing more, until "
    "it is stopped or let work again. Others go on with what it had.",
    find=_worker,
    act=_drain,
    of_house=True,
    states=frozenset({_WORKS}),
)
UNDRAIN = ConsoleAction(
    name="undrain",
    title="Let it work again",
    effect="It takes chunks again.",
    find=_worker,
    act=_undrain,
    of_house=True,
    states=frozenset({_DRAINS}),
)


def worker_offers(process: Process) -> list[Offer]:
    """What a process's state allows."""
    if process.role != "worker" or process.state is ProcessState.SILENT:
        return []
    return [offer(UNDRAIN if process.drain_asked_at else DRAIN, process.id)]


_PAGES = {
    PauseScope.EVERYTHING: OVERVIEW,
    PauseScope.LICENSE: QUEUES,
    PauseScope.CONNECTION: CONNECTIONS,
    PauseScope.PROVIDER: PROVIDERS,
}


_GOES_ON, _PAUSED = "not paused", "paused"


def _scope(visit: Visit, target: str) -> Aim:
    """What `license/acme`, `provider/hunter` or `everything/` name."""
    kind, _, subject = target.partition("/")
    if kind not in set(PauseScope):
        raise HTTPException(404, "there is no such thing to pause")
    scope = PauseScope(kind)
    with visit.deps.database.reading() as connection:
        found = scope_pauses.target_of(connection, scope, subject)
        state = _PAUSED if pauses.get(connection, scope, subject) else _GOES_ON
    if found is None:
        raise HTTPException(404, f"there is no {kind} {subject}")
    title = f"{kind} {subject}".strip()
    title = f"{title[0].upper()}{title[1:]} ({state})"
    return Aim(target, title, found.license_id, _shown_at(visit, scope), state)


def _shown_at(visit: Visit, scope: PauseScope) -> str:
    """The page of what is paused, or else the jobs that it holds."""
    page = _PAGES[scope]
    is_open = page.open_to(visit.key.scope, visit.key.license_id)
    return f"{PATH}{(page if is_open else JOBS).path}"


def _of(aim: Aim) -> tuple[PauseScope, str]:
    kind, _, subject = aim.id.partition("/")
    return PauseScope(kind), subject


def _pause(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    scope_pauses.pause_scope(visit.deps, *_of(aim), by)


def _resume(visit: Visit, aim: Aim, by: Acting, _: ActionForm) -> None:
    scope_pauses.resume_scope(visit.deps, *_of(aim), by)


PAUSE_SCOPE = ConsoleAction(
    name="pause-scope",
    title="Pause",
    effect="What runs of it ends its batch, and nothing of it begins until it is "
    "resumed. Its jobs keep their reservations; their deadlines stand still.",
    find=_scope,
    act=_pause,
    states=frozenset({_GOES_ON}),
)
RESUME_SCOPE = ConsoleAction(
    name="resume-scope",
    title="Resume",
    effect="Its jobs go on, with deadlines later by as long as they were held.",
    find=_scope,
    act=_resume,
    states=frozenset({_PAUSED}),
)


def scope_offer(scope: PauseScope, subject: str, *, is_paused: bool) -> Offer:
    """Pausing something, or letting it go on."""
    action = RESUME_SCOPE if is_paused else PAUSE_SCOPE
    return offer(action, f"{scope}/{quote(subject, safe='')}")


ACTIONS = (REQUEUE, SET_WEIGHT, DRAIN, UNDRAIN, PAUSE_SCOPE, RESUME_SCOPE)
