"""Reconciliations: the last verdict, those before it, what one found; asking for it."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from storage.finance.reconciliation import runs
from worker.console.forms import ConsoleForm
from worker.console.mount import PATH
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.finance.reconciliation import reconciliations
from worker.infrastructure.errors import BadInput, Refused

_PAGE = 50
_SHOWN_MAX = 200
_DIGITS_MAX = 18
_EVER = (1 << 63) - 1
_PATH = f"{FINANCE.path}/reconciliations"


class ReconciliationForm(ConsoleForm):
    """Which period to reconcile, and of whom."""

    period = StringField(
        "Period", [DataRequired("period: is needed"), Length(max=40)], default="open"
    )
    license = StringField("License, or all", [Length(max=200)])


def routes(house: House) -> list[Route]:
    """Its routes."""
    return [
        Route(_PATH, visited(house, FINANCE, _list)),
        Route(_PATH, visited(house, FINANCE, _ask), methods=["POST"]),
        Route(f"{_PATH}/{{reconciliation}}", visited(house, FINANCE, _show)),
    ]


def _list(visit: Visit) -> Response:
    return _page(visit, visit.form(ReconciliationForm))


def _ask(visit: Visit) -> Response:
    form = visit.form(ReconciliationForm)
    if not form.validate():
        return _page(visit, form, form.problems(), status=422)
    named = visit.key.license_id or (form.license.data or "").strip() or None
    try:
        run = reconciliations.put(visit.deps, form.period.data.strip(), named)
    except BadInput as error:
        return _page(visit, form, [str(error)], status=422)
    except Refused as refused:
        return _page(visit, form, [refused.detail], status=404)
    return RedirectResponse(f"{PATH}{_PATH}/{run.id}", 303)


def _page(
    visit: Visit,
    form: ReconciliationForm,
    problems: Sequence[str] = (),
    *,
    status: int = 200,
) -> Response:
    before = _number(visit.query.get("before", ""))
    license_id = visit.key.license_id
    with visit.deps.database.reading() as connection:
        found = runs.newest(
            connection,
            license_id=license_id,
            before=before or _EVER,
            limit=_PAGE + 1,
        )
        last = None if license_id else runs.last_verdict(connection)
        waiting = runs.waiting(connection, license_id=license_id)
    shown = found[:_PAGE]
    more = {"before": shown[-1].id} if len(found) > _PAGE else {}
    return visit.show(
        "finance/reconciliations.html",
        status=status,
        reconciliations=shown,
        last=last,
        waiting=waiting,
        form=form,
        problems=problems,
        more=urlencode(more),
    )


def _show(visit: Visit) -> Response:
    run_id = _number(visit.request.path_params["reconciliation"])
    after = _number(visit.query.get("after", "")) or 0
    if run_id is None:
        raise HTTPException(404, "there is no such reconciliation")
    try:
        shown = reconciliations.show(
            visit.deps, run_id, after=after, limit=_SHOWN_MAX + 1
        )
    except Refused as error:
        raise HTTPException(404, "there is no such reconciliation") from error
    own = visit.key.license_id
    if own is not None and shown.run.license_id != own:
        raise HTTPException(404, "there is no such reconciliation")
    differences = shown.differences[:_SHOWN_MAX]
    has_more = len(shown.differences) > _SHOWN_MAX
    more = {"after": differences[-1].id} if has_more else {}
    return visit.show(
        "finance/reconciliation.html",
        run=shown.run,
        differences=differences,
        reasons=shown.reasons,
        more=urlencode(more),
    )


def _number(given: str) -> int | None:
    is_one = given.isascii() and given.isdecimal() and len(given) <= _DIGITS_MAX
    return int(given) if is_one else None
