"""Templates: a license's ways of exporting, kept by name and named by its quotes."""

from dataclasses import replace

from storage.exports import templates
from storage.exports.templates import Export
from storage.licenses import licenses
from storage.quotes import quotes
from worker.exports.export_options import export_of
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id

_TEMPLATE = "template"


def put(deps: Deps, license_id: str, name: str, export: Export) -> None:
    """Keep a template, in place of one of the same name.

    Raises `BadInput` where no file can look like that, `Refused` without a license.
    """
    check_id("name", name)
    export_of(export)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        templates.put(connection, license_id, name, export)


def get(deps: Deps, license_id: str, name: str) -> Export:
    """A template. Raises `Refused` where there is none of this name."""
    with deps.database.transaction() as connection:
        return _found(templates.get(connection, license_id, name), name)


def delete(deps: Deps, license_id: str, name: str) -> Export:
    """Take a template away, and return what it was; quotes made with it stay."""
    with deps.database.transaction() as connection:
        return _found(templates.delete(connection, license_id, name), name)


def _found(export: Export | None, name: str) -> Export:
    if export is None:
        raise Refused(Code.NOT_FOUND, f"there is no template {name}")
    return export


def applied(deps: Deps, request: quotes.Request) -> quotes.Request:
    """A request with what its template says, below what it says itself.

    The quote keeps the result: a template that changes later changes no quote.
    """
    own = dict(request.export or {})
    name = own.pop(_TEMPLATE, None)
    if name is None:
        return request
    return replace(request, export=get(deps, request.license_id, name) | own)
