"""Templates: a license's ways of exporting, and those of reading its files."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from storage.access_scopes import Scope
from storage.exports.templates import Export
from worker.api import cursors, models
from worker.api.access_control import CheckedRoute, Whose, allow, license_itself
from worker.api.context import context_of
from worker.api.routes.uploads import asked_of
from worker.exports import templates
from worker.responses import quote_responses
from worker.responses.response import Answer
from worker.uploads import templates as upload_templates

router = APIRouter(route_class=CheckedRoute, tags=["templates"])

LicenseId = Annotated[models.ClientId, Path(description="The license's id.")]
Name = Annotated[models.ClientId, Path(description="The template's name.")]

_OF_IT = Whose("license", license_itself)
_LIST = "/licenses/{license}/templates"
_PATH = f"{_LIST}/{{template}}"
_UPLOADS = "/licenses/{license}/upload-templates"
_UPLOAD = f"{_UPLOADS}/{{template}}"


@router.get(_LIST, response_model=models.Page[models.Template])
@allow(Scope.PRODUCER, of=_OF_IT)
def list_templates(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List a license's templates by name."""
    after = cursors.decode(cursor) if cursor else ""
    deps = context_of(request).deps
    found = templates.every(deps, license, after=after, limit=limit + 1)
    return cursors.page(found, limit, lambda row: _answer(*row), lambda row: row[0])


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


@router.get(_UPLOADS, response_model=models.Page[models.UploadTemplate])
@allow(Scope.PRODUCER, of=_OF_IT)
def list_upload_templates(
    request: Request,
    license: LicenseId,
    limit: cursors.Limit = cursors.LIMIT,
    cursor: cursors.Cursor = None,
) -> Answer:
    """List a license's upload templates by name."""
    deps = context_of(request).deps
    after = cursors.decode(cursor) if cursor else ""
    found = upload_templates.every(deps, license, after=after, limit=limit + 1)
    return cursors.page(
        found, limit, quote_responses.of_upload_template, lambda row: row.name
    )


@router.put(_UPLOAD, response_model=models.UploadTemplate)
@allow(Scope.PRODUCER, of=_OF_IT)
def put_upload_template(
    request: Request, license: LicenseId, template: Name, body: models.NewUploadTemplate
) -> Answer:
    """Keep how files are read, under a name."""
    deps = context_of(request).deps
    kept = upload_templates.put(deps, license, template, asked_of(body), body.headers)
    return quote_responses.of_upload_template(kept)


@router.get(_UPLOAD, response_model=models.UploadTemplate)
@allow(Scope.PRODUCER, of=_OF_IT)
def get_upload_template(request: Request, license: LicenseId, template: Name) -> Answer:
    """Show an upload template."""
    found = upload_templates.get(context_of(request).deps, license, template)
    return quote_responses.of_upload_template(found)


@router.delete(_UPLOAD, response_model=models.UploadTemplate)
@allow(Scope.PRODUCER, of=_OF_IT)
def delete_upload_template(
    request: Request, license: LicenseId, template: Name
) -> Answer:
    """Take an upload template away; uploads that were read by it stay as they are."""
    found = upload_templates.delete(context_of(request).deps, license, template)
    return quote_responses.of_upload_template(found)
