"""Templates: a license's ways of exporting."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from storage.access_scopes import Scope
from storage.exports.templates import Export
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import context_of
from worker.exports import templates
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["templates"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]
Name = Annotated[models.ClientId, Path(description="The template's name.")]

_OF_IT = Whose("license", license_itself)
_PATH = "/licenses/{license}/templates/{template}"


@router.put(_PATH, response_model=models.Template)
@allow(Scope.PRODUCER, of=_OF_IT)
def put_template(
    request: Request, license: LicenseId, template: Name, body: models.ExportOptions
) -> Answer:
    """Keep how an export looks and what it leaves out, under a name."""
    export = body.model_dump(exclude_unset=True)
    templates.put(context_of(request).deps, license, template, export)
    return _answer(template, export)


@router.get(_PATH, response_model=models.Template)
@allow(Scope.PRODUCER, of=_OF_IT)
def get_template(request: Request, license: LicenseId, template: Name) -> Answer:
    """Show a template."""
    found = templates.get(context_of(request).deps, license, template)
    return _answer(template, found)


@router.delete(_PATH, response_model=models.Template)
@allow(Scope.PRODUCER, of=_OF_IT)
def delete_template(request: Request, license: LicenseId, template: Name) -> Answer:
    """Take a template away; quotes that were made with it stay as they are."""
    found = templates.delete(context_of(request).deps, license, template)
    return _answer(template, found)


def _answer(name: str, export: Export) -> Answer:
    return {"name": name, **export}
