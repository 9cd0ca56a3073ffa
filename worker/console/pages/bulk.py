"""One verb for all jobs that a filter matches: the count first, then the act."""

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from storage.operations.bulk_jobs import BulkVerb
from worker.console.console_actions import acting_of
from worker.console.forms import ActionForm
from worker.console.job_actions import EFFECTS
from worker.console.mount import PATH
from worker.console.page_table import ACTIONS, JOBS
from worker.console.pages.jobs import BULK_TITLES, KINDS, asked_of
from worker.console.visits import House, Visit, visited
from worker.infrastructure.errors import BadInput, Refused
from worker.operations import bulk_jobs


def routes(house: House) -> list[Route]:
    """Its routes."""
    path = "/act-on-all/{verb}"
    return [
        Route(path, visited(house, JOBS, _ask, acts=True)),
        Route(path, visited(house, JOBS, _act, acts=True), methods=["POST"]),
    ]


def _verb(visit: Visit) -> BulkVerb:
    asked = visit.request.path_params["verb"]
    if asked not in set(BulkVerb):
        raise HTTPException(404, "there is no such verb")
    return BulkVerb(asked)


def _ask(visit: Visit) -> Response:
    return _page(visit, _verb(visit), [], status=200)


def _act(visit: Visit) -> Response:
    verb, asked = _verb(visit), asked_of(visit)
    form = visit.form(ActionForm)
    if not form.validate():
        return _page(visit, verb, form.problems(), status=422)
    expected = visit.given.get("expected", "")
    try:
        result = bulk_jobs.steer(
            visit.deps,
            verb,
            asked.wanted,
            acting_of(visit, form.reason.data),
            expected=int(expected) if expected.isdecimal() else 0,
        )
    except (Refused, BadInput) as error:
        return _page(visit, verb, [str(error)], status=409)
    if result.bulk_id is None:
        return RedirectResponse(f"{PATH}{JOBS.path}{asked.url()}", 303)
    return RedirectResponse(f"{PATH}{ACTIONS.path}?bulk={result.bulk_id}", 303)


def _page(
    visit: Visit, verb: BulkVerb, problems: list[str], *, status: int
) -> Response:
    asked = asked_of(visit)
    matched = bulk_jobs.count(visit.deps, verb, asked.wanted).matched
    at_most = visit.deps.settings.bulk_jobs_max
    filters = ", ".join(f"{name} {one}" for name, one in asked.filters.items())
    return visit.show(
        "bulk.html",
        status=status,
        title=BULK_TITLES[verb],
        kind=KINDS[asked.kind],
        filters=filters,
        matched=matched,
        at_most=at_most,
        effect=EFFECTS[verb],
        form=visit.form(ActionForm),
        back=f"{PATH}{JOBS.path}{asked.url()}",
        problems=problems,
    )
