"""What can be done to what is the house's: the outbox, and what licenses weigh."""

from decimal import Decimal

from starlette.exceptions import HTTPException
from wtforms import DecimalField
from wtforms.validators import InputRequired, NumberRange

from storage.licenses import licenses
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from worker.console.console_actions import Aim, ConsoleAction
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.page_table import QUEUES
from worker.console.visits import Visit
from worker.operations import outbox_requeue, turn_order
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
        default=Decimal(1),
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
    return Aim(found.id, title, found.id, _QUEUES)


def _set_weight(visit: Visit, aim: Aim, by: Acting, form: WeightForm) -> None:
    assert form.weight.data is not None  # noqa: S101 - it was validated
    target = Target("license", aim.id, aim.license_id)
    turn_order.set_weight(
        visit.deps,
        aim.id,
        form.weight.data,
        note=action_log.noting(by, "set_weight", target),
    )


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

ACTIONS = (REQUEUE, SET_WEIGHT)
