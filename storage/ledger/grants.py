"""Grants: credits added to the running period, once for each reference."""

from enum import StrEnum

from sqlalchemy import Connection, text

from storage.errors import Conflict
from storage.ledger.periods import RUNNING_PERIOD


class GrantResult(StrEnum):
    """What became of a grant."""

    CREATED = "created"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    NO_RUNNING_PERIOD = "no_running_period"


def grant(
    connection: Connection,
    license_id: str,
    credits_added: int,
    reference: str,
) -> GrantResult:
    """Add credits to the running period, once for each reference of the license."""
    parameters = {
        "license_id": license_id,
        "credits": credits_added,
        "reference": reference,
    }
    period_id = connection.execute(
        text(f"SELECT id FROM periods WHERE {RUNNING_PERIOD}"),  # noqa: S608 - a constant
        parameters,
    ).scalar_one_or_none()
    if period_id is None:
        return GrantResult.NO_RUNNING_PERIOD
    created = connection.execute(
        text("""
            INSERT INTO transfers (license_id, period_id, kind, from_account,
                                   to_account, credits, reference)
            VALUES (:license_id, :period_id, 'grant', 'outside',
                    'available', :credits, :reference)
            ON CONFLICT (license_id, reference) WHERE kind = 'grant' DO NOTHING
            RETURNING id"""),
        {**parameters, "period_id": period_id},
    ).scalar_one_or_none()
    if created is None:
        return _granted_before(connection, parameters)
    moved = connection.execute(
        text("""
            UPDATE periods SET granted = granted + :credits
             WHERE id = :period_id AND ended_at IS NULL"""),
        {"credits": credits_added, "period_id": period_id},
    )
    if moved.rowcount != 1:
        raise Conflict("the period ended while credits were granted")
    return GrantResult.CREATED


def _granted_before(
    connection: Connection,
    parameters: dict[str, object],
) -> GrantResult:
    same = connection.execute(
        text("""
            SELECT credits = :credits FROM transfers
             WHERE license_id = :license_id AND reference = :reference
               AND kind = 'grant'"""),
        parameters,
    ).scalar_one()
    return GrantResult.EXISTS if same else GrantResult.EXISTS_WITH_DIFFERENT_AMOUNT
