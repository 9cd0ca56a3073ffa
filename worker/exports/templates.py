"""Templates: a license's ways of exporting, kept by name and named by its quotes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from storage.exports import templates
from storage.exports.templates import Export
from storage.licenses import licenses
from storage.quotes import quotes
from worker.exports.export_options import LOOK, OF_FORMAT, export_of
from worker.exports.writers.formats import DEFAULT_FORMAT, FORMATS
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


def every(
    deps: Deps, license_id: str, *, after: str, limit: int
) -> list[tuple[str, Export]]:
    """A license's templates by name, from behind the name `after`."""
    with deps.database.transaction() as connection:
        return templates.every(connection, license_id, after=after, limit=limit)


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
    return replace(request, export=_below(own, get(deps, request.license_id, name)))


def relaid(
    deps: Deps, request: quotes.Request, look: Mapping[str, Any]
) -> quotes.Request:
    """A request with another look of its file, which a template may say in part.

    Which records it leaves out was decided when it was quoted, and is said by neither.
    """
    own = dict(look)
    name = own.pop(_TEMPLATE, None)
    template = {} if name is None else get(deps, request.license_id, name)
    said = _below(own, {field: template[field] for field in LOOK if field in template})
    return replace(request, export=_below(said, request.export or {}))


def _below(own: Export, others: Export) -> Export:
    """What a client says, and below it what was said before.

    Of that an option counts only where the format, which may be another now, has it.
    """
    format_ = own.get("format") or others.get("format", DEFAULT_FORMAT)
    kept = {
        name: said
        for name, said in others.items()
        if format_ in OF_FORMAT.get(name, FORMATS)
    }
    return {**kept, **own}
