"""The audit: how the ledger stands, and what operators say of broken promises."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, acting_of, allow, caller_of
from worker.api.context import context_of
from worker.infrastructure.errors import Code, Refused
from worker.ledger import audit
from worker.responses import audit_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["audit"])

_BIGINT_MAX = (1 << 63) - 1

ViolationId = Annotated[
    int, Path(ge=1, le=_BIGINT_MAX, description="The violation's id.")
]


def _of_the_house(_: Connection, __: str) -> None:
    """Violations are of no license: a key that sees one alone learns of none."""


@router.get("/audit", response_model=models.Audit)
@allow(Scope.OPERATOR, Scope.OBSERVER, Scope.FINANCE)
def show_audit(request: Request) -> Answer:
    """Say how the ledger stands by the last audit, of all licenses."""
    if caller_of(request).license_id is not None:
        raise Refused(Code.NOT_FOUND, "the audit is of all licenses")
    return audit_responses.of_verdict(*audit.stand(context_of(request).deps))


@router.post(
    "/audit/violations/{violation}/acknowledge", response_model=models.Violation
)
@allow(Scope.OPERATOR, Scope.FINANCE, of=Whose("violation", _of_the_house))
def acknowledge(
    request: Request, violation: ViolationId, body: models.NewAcknowledgement
) -> Answer:
    """Let a violation sound no more, for a reason that is kept.

    `refund` gives a charge back in the same transaction; finance may, and admin.
    """
    caller = caller_of(request)
    if body.refund is not None and caller.scope is Scope.OPERATOR:
        raise Refused(Code.FORBIDDEN, "a key of scope operator may not refund")
    acknowledged = audit.acknowledge(
        context_of(request).deps,
        violation,
        by=body.by or caller.id,
        reason=body.reason,
        acting=acting_of(request, None),
        refund=body.refund,
    )
    return audit_responses.of_violation(acknowledged)
