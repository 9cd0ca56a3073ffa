"""Erasing a person."""

from fastapi import APIRouter, Request

from worker.api import models
from worker.api.access_control import (
    CheckedRoute,
    Whose,
    allow,
    license_itself,
    seen_license,
)
from worker.api.context import context_of
from worker.responses.response import Answer
from worker.retention import person_erasure

router = APIRouter(route_class=CheckedRoute, tags=["erasures"])


@router.post("/erasures", response_model=models.Erasure)
@allow(body=(Whose("license", license_itself),))
def erase_person(request: Request, body: models.NewErasure) -> Answer:
    """Erase a person for everybody, or from what is kept for one license.

    It is answered when it is done. The same again ends what was cut short. A key that
    is bound to a license erases from what is kept for that one.
    """
    license_id = seen_license(request, body.license)
    deps = context_of(request).deps
    erased = person_erasure.erase(deps, body.person_id, license_id)
    return {"person": body.person_id, "license": license_id, **erased.answer()}
