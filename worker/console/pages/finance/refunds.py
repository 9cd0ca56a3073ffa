"""Refunds: those that wait, those that were booked, and each by itself."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from storage.operations.action_log import Acting
from storage.refunds import credit_note_reports
from storage.refunds.credit_note_reports import WantedNotes
from storage.refunds.credit_notes import NoteState
from worker.console.console_actions import acting_of
from worker.console.forms import ActionForm
from worker.console.mount import PATH
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.infrastructure.errors import BadInput, Refused
from worker.refunds import credit_notes, refusals
from worker.refunds.credit_notes import Asked, Shown

_PAGE = 50
_CHARGES_SHOWN = 100
_BIGINT_MAX = (1 << 63) - 1
_TITLES = {
    NoteState.AWAITING_APPROVAL: "Waiting for a second person",
    NoteState.BOOKED: "Booked",
    NoteState.REJECTED: "Rejected",
}
_PATH = f"{FINANCE.path}/refunds"
_HERE = f"{PATH}{_PATH}"


def routes(house: House) -> list[Route]:
    """Its routes."""
    one, make = f"{_PATH}/{{refund:int}}", f"{_PATH}/make"
    routes = [
        Route(_PATH, visited(house, FINANCE, _list)),
        Route(make, visited(house, FINANCE, _preview)),
        Route(make, visited(house, FINANCE, _make), methods=["POST"]),
        Route(one, visited(house, FINANCE, _show)),
    ]
    for verb in _VERBS.values():
        path = f"{one}/{verb.name}"
        routes += [
            Route(path, visited(house, FINANCE, verb.ask)),
            Route(path, visited(house, FINANCE, verb.act), methods=["POST"]),
        ]
    return routes


def _list(visit: Visit) -> Response:
    asked = visit.query.get("state", "")
    if asked not in {"", *map(str, NoteState)}:
        raise HTTPException(422, f"state: one of {', '.join(NoteState)}")
    license_id = visit.key.license_id or visit.query.get("license", "").strip()
    before = visit.query.get("before", "")
    wanted = WantedNotes(
        license_id=license_id or None,
        state=NoteState(asked) if asked else None,
        before=_number(before) if before else None,
    )
    with visit.deps.database.reading() as connection:
        found = credit_note_reports.find(connection, wanted, limit=_PAGE + 1)
    shown = found[:_PAGE]
    filters = {"state": asked, "license": license_id}
    older = None
    if len(found) > _PAGE:
        older = f"?{urlencode({**filters, 'before': shown[-1].id})}"
    return visit.show(
        "finance/refunds.html",
        notes=shown,
        titles=_TITLES,
        filters=filters,
        older=older,
    )


def _number(given: str) -> int:
    """An id that stands in the URL or in a form. Raises 422."""
    if not given.isascii() or not given.isdigit() or int(given) > _BIGINT_MAX:
        raise HTTPException(422, f"{given[:50]!r} is no id")
    return int(given)


def _asked(visit: Visit) -> Asked:
    """What the URL asks to give back: charges by their ids, or a job."""
    job = visit.query.get("job", "").strip()
    named = visit.query.get("charges", "").replace(",", " ").split()
    return Asked([_number(each) for each in named], job or None)


def _preview(visit: Visit) -> Response:
    return _preview_page(visit, [], status=200)


def _make(visit: Visit) -> Response:
    form = visit.form(ActionForm)
    if not form.validate():
        return _preview_page(visit, form.problems(), status=422)
    try:
        shown = credit_notes.make(
            visit.deps,
            _asked(visit),
            form.reason.data,
            acting_of(visit, form.reason.data),
            seen=visit.key.license_id,
        )
    except Refused as refused:
        return _preview_page(visit, [refused.detail], status=409)
    except BadInput as error:
        return _preview_page(visit, [str(error)], status=422)
    return RedirectResponse(f"{_HERE}/{shown.note.id}", 303)


def _preview_page(visit: Visit, problems: list[str], *, status: int) -> Response:
    """What would be given back; the form is offered where it can be."""
    preview, asked = None, Asked()
    try:
        asked = _asked(visit)
        preview = credit_notes.preview(
            visit.deps, asked, acting_of(visit, ""), seen=visit.key.license_id
        )
    except Refused as refused:
        problems, status = [refused.detail], 404
    except BadInput as error:
        problems, status = [str(error)], 422
    return visit.show(
        "finance/refund_preview.html",
        status=status,
        asked=asked,
        preview=preview,
        why=refusals.why,
        problems=problems,
        form=visit.form(ActionForm),
        back=_HERE,
    )


def _of_path(visit: Visit) -> Shown:
    """The note that the path names. Raises 404."""
    note_id = visit.request.path_params["refund"]
    if note_id > _BIGINT_MAX:
        raise HTTPException(404, "there is no such refund")
    shown = credit_notes.show(visit.deps, note_id)
    visit.check_sees(shown.note.license_id)
    return shown


def _show(visit: Visit) -> Response:
    shown = _of_path(visit)
    after = visit.query.get("after", "")
    with visit.deps.database.reading() as connection:
        found = credit_note_reports.charges(
            connection,
            shown.note.id,
            after=_number(after) if after else 0,
            limit=_CHARGES_SHOWN + 1,
        )
    charges = found[:_CHARGES_SHOWN]
    waits = shown.note.state is NoteState.AWAITING_APPROVAL
    more = f"?after={charges[-1].charge_id}" if len(found) > _CHARGES_SHOWN else None
    return visit.show(
        "finance/refund.html",
        shown=shown,
        note=shown.note,
        charges=charges,
        more=more,
        verbs=_VERBS.values() if waits else (),
        here=f"{_HERE}/{shown.note.id}",
    )


class _Verb(NamedTuple):
    """What can be done to a note that waits."""

    name: str
    title: str
    effect: str

    def ask(self, visit: Visit) -> Response:
        """The confirmation."""
        return self._page(
            visit, _of_path(visit), visit.form(ActionForm), [], status=200
        )

    def act(self, visit: Visit) -> Response:
        """Do it, or say why not."""
        shown, form = _of_path(visit), visit.form(ActionForm)
        if not form.validate():
            return self._page(visit, shown, form, form.problems(), status=422)
        by = acting_of(visit, form.reason.data)
        try:
            self._do(visit, shown.note.id, by)
        except Refused as refused:
            return self._page(visit, shown, form, [refused.detail], status=409)
        except BadInput as error:
            return self._page(visit, shown, form, [str(error)], status=422)
        return RedirectResponse(f"{_HERE}/{shown.note.id}", 303)

    def _do(self, visit: Visit, note_id: int, by: Acting) -> None:
        if self.name == "approve":
            credit_notes.approve(visit.deps, note_id, by)
        else:
            credit_notes.reject(visit.deps, note_id, by.reason or "", by)

    def _page(
        self,
        visit: Visit,
        shown: Shown,
        form: Any,  # noqa: ANN401 - fields are set by WTForms
        problems: list[str],
        *,
        status: int,
    ) -> Response:
        note = shown.note
        return visit.show(
            "confirmation.html",
            status=status,
            title=self.title,
            aim=f"{note.credits} credits of {note.license_id}, asked for by "
            f"{note.author}: {note.reason or 'erased'}",
            back=f"{_HERE}/{note.id}",
            effect=self.effect,
            fits=True,
            form=form,
            problems=problems,
        )


_VERBS = {
    verb.name: verb
    for verb in (
        _Verb(
            "approve",
            "Approve the refund",
            "It is booked and numbered now. What was given back otherwise meanwhile is "
            "left out. You are another person than has asked for it.",
        ),
        _Verb(
            "reject",
            "Reject the refund",
            "Nothing is given back; its charges may be asked for anew.",
        ),
    )
}
