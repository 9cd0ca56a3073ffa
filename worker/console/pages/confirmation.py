"""The confirmation of an action: what it will do, and a reason for it."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from worker.console import finance_actions, house_actions, job_actions
from worker.console.console_actions import (
    Aim,
    ConsoleAction,
    acting_of,
    by_name,
    check_may,
)
from worker.console.page_table import FINANCE, JOBS
from worker.console.visits import House, Visit, visited
from worker.infrastructure.errors import BadInput, Refused

ACTIONS = by_name(*job_actions.ACTIONS, *house_actions.ACTIONS)
"""All that can be done to one thing by whoever steers jobs."""

FINANCE_ACTIONS = by_name(*finance_actions.ACTIONS)
"""All that finance can do to one thing."""


def routes(house: House) -> list[Route]:
    """Its routes."""
    path = "/act/{action}/{target:path}"
    return [
        Route(path, visited(house, JOBS, _ask, acts=True)),
        Route(path, visited(house, JOBS, _act, acts=True), methods=["POST"]),
        # Whoever sees finance acts there.
        Route(f"{FINANCE.path}{path}", visited(house, FINANCE, _ask)),
        Route(f"{FINANCE.path}{path}", visited(house, FINANCE, _act), methods=["POST"]),
    ]


def _found(visit: Visit) -> tuple[ConsoleAction, Aim]:
    asked = visit.request.path_params
    actions = FINANCE_ACTIONS if visit.page is FINANCE else ACTIONS
    action = actions.get(asked["action"])
    if action is None:
        raise HTTPException(404, "there is no such action")
    if action.of_house:
        visit.check_is_of_house()
    aim = action.find(visit, asked["target"])
    check_may(visit, aim, of_house=action.of_house)
    return action, aim


def _ask(visit: Visit) -> Response:
    action, aim = _found(visit)
    form = visit.form(action.form, aim.values)
    if not action.fits(aim):
        problems = [f"This cannot be done to what is {aim.state}."]
        return _page(visit, action, aim, form, problems, status=409)
    return _page(visit, action, aim, form, [], status=200)


def _act(visit: Visit) -> Response:
    action, aim = _found(visit)
    form = visit.form(action.form)
    if not form.validate():
        return _page(visit, action, aim, form, form.problems(), status=422)
    try:
        leads_to = action.act(visit, aim, acting_of(visit, form.reason.data), form)
    except Refused as refused:
        return _page(visit, action, aim, form, [refused.detail], status=409)
    except BadInput as error:
        return _page(visit, action, aim, form, [str(error)], status=422)
    visit.house.live.forget()
    return RedirectResponse(leads_to or aim.back, 303)


def _page(
    visit: Visit,
    action: ConsoleAction,
    aim: Aim,
    form: Any,  # noqa: ANN401 - fields are set by WTForms
    problems: list[str],
    *,
    status: int,
) -> Response:
    return visit.show(
        "confirmation.html",
        status=status,
        title=action.title,
        aim=aim.title,
        back=aim.back,
        effect=action.effect,
        form=form,
        fits=action.fits(aim),
        problems=problems,
    )
