"""One charge, and why it cost what it did."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from sqlalchemy import Connection

from storage.access_scopes import Scope
from storage.ledger import charges
from worker.api import models
from worker.api.access_control import CheckedRoute, Whose, allow
from worker.api.context import context_of
from worker.finance.explanations import explanations
from worker.infrastructure.errors import Code, Refused
from worker.responses import credit_responses
from worker.responses.response import Answer

router = APIRouter(route_class=CheckedRoute, tags=["charges"])

_BIGINT_MAX = (1 << 63) - 1

ChargeId = Annotated[int, Path(ge=1, le=_BIGINT_MAX, description="The charge's id.")]


def _owner(connection: Connection, named: str) -> str | None:
    if not named.isascii() or not named.isdigit() or int(named) > _BIGINT_MAX:
        return None
    found = charges.get(connection, int(named))
    return found.license_id if found else None


_OF_IT = Whose("charge", _owner)


@router.get("/charges/{charge}", response_model=models.Charge)
@allow(Scope.FINANCE, of=_OF_IT)
def get_charge(request: Request, charge: ChargeId) -> Answer:
    """Show one charge."""
    with context_of(request).deps.database.transaction() as connection:
        found = charges.get(connection, charge)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no charge {charge}")
    return credit_responses.of_charge(found)


@router.get("/charges/{charge}/explanation", response_model=models.Explanation)
@allow(Scope.FINANCE, of=_OF_IT)
def explain_charge(request: Request, charge: ChargeId) -> Answer:
    """Say why a charge cost what it did, in sentences that a customer can be shown."""
    return explanations.explain(context_of(request).deps, charge)
