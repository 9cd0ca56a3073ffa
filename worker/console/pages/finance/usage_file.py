"""A vendor's usage file, matched as it is sent; nothing of it is kept."""

import io
from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route
from wtforms import StringField
from wtforms.validators import AnyOf, Length

from storage.finance.reconciliation.usage_rows import UsageOf
from worker.console.forms import ConsoleForm
from worker.console.page_table import FINANCE
from worker.console.visits import House, Visit, visited
from worker.finance.reconciliation import usage_match
from worker.finance.reconciliation.usage_match import MatchState, UsageMatch
from worker.infrastructure.errors import BadInput, Code, Refused, bad

_SHOWN_MAX = 200
_NAME = Length(max=200)
_PROVIDERS_IDS = {UsageOf.JOB.value: "our jobs", UsageOf.LOOKUP.value: "requests"}


class UsageFileForm(ConsoleForm):
    """Whose file it is, and what its columns are called."""

    provider = StringField("Provider", [_NAME])
    by = StringField(
        "Its ids are", [AnyOf(_PROVIDERS_IDS, "by: job or lookup")], default=UsageOf.JOB
    )
    connection = StringField("or connection to a CRM, whose ids they are", [_NAME])
    id = StringField("Column with the ids", [_NAME])
    amount = StringField("Column with amounts, if there is one", [_NAME])
    at = StringField("Column with instants, if there is one", [_NAME])


def routes(house: House) -> list[Route]:
    """Its routes."""
    path = f"{FINANCE.path}/usage"
    return [
        Route(path, visited(house, FINANCE, _show)),
        Route(path, visited(house, FINANCE, _match), methods=["POST"]),
    ]


def _show(visit: Visit) -> Response:
    visit.check_is_of_house()
    return _page(visit, visit.form(UsageFileForm))


def _match(visit: Visit) -> Response:
    visit.check_is_of_house()
    form = visit.form(UsageFileForm)
    if not form.validate():
        return _page(visit, form, form.problems(), status=422)
    try:
        found = _matched(visit, form)
    except BadInput as error:
        return _page(visit, form, [str(each) for each in error.problems], status=422)
    except Refused as refused:
        status = 404 if refused.code is Code.NOT_FOUND else 413
        return _page(visit, form, [refused.detail], status=status)
    if visit.given.get("as") == "csv":
        return _file(form, found)
    return _page(visit, form, found=found)


def _matched(visit: Visit, form: UsageFileForm) -> UsageMatch:
    file = visit.files.get("file")
    if not file:
        raise bad("file", "a CSV is needed")
    vendor = usage_match.vendor_of(
        _word(form.provider), _word(form.connection), form.by.data or UsageOf.JOB
    )
    return usage_match.match(visit.deps, io.BytesIO(file), vendor, _columns(form))


def _word(field: StringField) -> str | None:
    return (field.data or "").strip() or None


def _columns(form: UsageFileForm) -> Mapping[str, str]:
    named = {"id": form.id, "amount": form.amount, "at": form.at}
    words = {name: _word(field) for name, field in named.items()}
    return {name: word for name, word in words.items() if word is not None}


def _page(
    visit: Visit,
    form: UsageFileForm,
    problems: list[str] | None = None,
    *,
    found: UsageMatch | None = None,
    status: int = 200,
) -> Response:
    told = usage_match.answer_of(found) if found else {"counts": {}, "matches": []}
    matched = MatchState.MATCHED.value
    differ = sum(number for state, number in told["counts"].items() if state != matched)
    differing = [one for one in told["matches"] if one["state"] != matched]
    return visit.show(
        "finance/usage_file.html",
        status=status,
        form=form,
        ids=_PROVIDERS_IDS,
        problems=problems or [],
        found=found,
        counts=told["counts"],
        differing=differing[:_SHOWN_MAX],
        left_off=max(0, differ - _SHOWN_MAX),
    )


def _file(form: UsageFileForm, found: UsageMatch) -> Response:
    name = quote(f"{_word(form.provider) or _word(form.connection)}-matched.csv")
    return Response(
        usage_match.as_csv(found),
        media_type="text/csv",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )
