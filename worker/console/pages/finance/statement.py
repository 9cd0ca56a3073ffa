"""A statement's page: its table, the formats of it, and what each line leads to."""

from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from storage.finance.statements import stated_periods, statement_runs
from storage.finance.statements.lines import VIEWS, Line, Section
from worker.console.page_table import FINANCE
from worker.console.pages.finance.licenses import seen_license
from worker.console.visits import House, Visit, visited
from worker.finance.statements import statements
from worker.finance.statements.statement_formats import StatementFormat, file_of
from worker.finance.statements.statement_table import TITLES
from worker.finance.statements.statements import ShownStatement
from worker.infrastructure.clock import instant
from worker.infrastructure.errors import BadInput

_RUN_MAX = 1_000_000
_ACCOUNTS = (Section.OPENING, Section.MOVEMENT, Section.CLOSING)
"""What stands in one table, account by account."""
_FILTERS = {Section.ITEM: "item", Section.USER: "user", Section.JOB: "job"}
"""What the charges of a line are found by."""


def routes(house: House) -> list[Route]:
    """Its routes."""
    path = "/finance/licenses/{license}/statement"
    return [
        Route(path, visited(house, FINANCE, _show)),
        Route(f"{path}.{{format}}", visited(house, FINANCE, _file)),
    ]


def _shown(visit: Visit) -> ShownStatement:
    """What the URL asks for. Raises 404 and 422."""
    license_id = seen_license(visit)
    given = visit.query.get("run", "")
    if given and not (given.isdecimal() and 1 <= int(given[:9]) <= _RUN_MAX):
        raise HTTPException(422, "run: a number from 1")
    run = int(given) if given else None
    try:
        period = visit.query.get("period") or None
        return statements.show(visit.deps, license_id, period, run)
    except BadInput as error:
        raise HTTPException(422, str(error)) from error


def _show(visit: Visit) -> Response:
    statement = _shown(visit).statement
    starts_at = instant(statement.starts_at)
    with visit.deps.database.reading() as connection:
        found = stated_periods.at(connection, statement.license_id, statement.starts_at)
        assert found is not None  # noqa: S101 - its statement was shown
        last = statement_runs.last(connection, found.id)
    runs = last.run if last else 0
    query = {"period": starts_at, "run": statement.run}
    return visit.show(
        "finance/statement.html",
        statement=statement,
        titles=TITLES,
        accounts=[line for line in statement.lines if line.section in _ACCOUNTS],
        sections=[
            (section, lines)
            for section in Section
            if section not in _ACCOUNTS and (lines := statement.of(section))
        ],
        runs=[
            (number, "supplement" if number > 1 else "statement")
            for number in range(1, runs + 1)
        ],
        open_run=runs + 1 if found.closed_at else None,
        period=starts_at,
        closed_at=found.closed_at,
        files=[
            (each.upper(), f"statement.{each}?{urlencode(query)}")
            for each in StatementFormat
        ],
        charges_of=lambda line: _charges_of(statement.license_id, starts_at, line),
    )


def _charges_of(license_id: str, starts_at: str | None, line: Line) -> str | None:
    """Where the charges of a line are listed; None of what has none."""
    query = {"license": license_id, "period": starts_at}
    if line.section in _FILTERS:
        query[_FILTERS[line.section]] = line.key
    elif line.section is Section.CREDIT_NOTE:
        return f"/console/finance/refunds?{urlencode({'license': license_id})}"
    elif line.section is Section.LATE:
        query["job"] = line.job or VIEWS
    elif line.key not in {"settled", "viewed", "refunded"}:
        return None
    elif line.section is Section.MEMO:
        query |= {"period": instant(line.at), "job": line.job or VIEWS}
    elif line.key == "viewed":
        query["job"] = VIEWS
    return f"/console/finance/charges?{urlencode(query)}"


def _file(visit: Visit) -> Response:
    """The same as a file."""
    named = visit.request.path_params["format"]
    if named not in set(StatementFormat):
        raise HTTPException(404, "there is no such format")
    file = file_of(_shown(visit), StatementFormat(named))
    name = quote(file.name, safe="")
    return Response(
        file.data,
        media_type=file.media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )
