"""What a record did cost: the claims that fall due once its outcome is known.

Rules 4 and 5: pay only for what is delivered, at most at the frozen price, and one
line for each delivered claim, also at 0 credits. Whether a claim that was priced
has been paid for meanwhile is for the entitlements to say, at the settling moment.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pricing.claims import Entitlement, PricedClaim, is_free
from pricing.plans import Item, Terms


class Outcome(StrEnum):
    """What became of a record."""

    DELIVERED = "delivered"
    EXCLUDED = "excluded"
    REJECTED = "rejected"
    UNREACHED = "unreached"


class Rule(StrEnum):
    """By which rule a charge has its credits."""

    PRICE = "price"
    FREE_AS_QUOTED = "free_as_quoted"
    PAID_MEANWHILE = "paid_meanwhile"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one record ended.

    `unchanged` says that nothing of it was sent, `person_unchanged` that nothing of
    its person was. `company_due` matters for a rejected record alone: its company's
    credit is due once the CRM has created or updated the company or one of its persons.
    """

    outcome: Outcome
    email_found: bool = False
    phone_found: bool = False
    unchanged: bool = False
    person_unchanged: bool = False
    company_due: bool = False


class DueClaim(NamedTuple):
    """A claim to settle: at `credits`, or at 0 where it has been paid meanwhile."""

    item: Item
    digest: str
    credits: int
    unchanged: bool


def due_claims(claims: tuple[PricedClaim, ...], result: Result) -> tuple[DueClaim, ...]:
    """The claims of one record that its outcome makes due."""
    return tuple(
        DueClaim(claim.item, claim.digest, 0 if unchanged else claim.credits, unchanged)
        for claim in claims
        if _is_due(claim.item, result)
        for unchanged in (_is_unchanged(claim.item, result),)
    )


def _is_unchanged(item: Item, result: Result) -> bool:
    """A company changes with its persons, what was found only with its own person."""
    return result.unchanged or (result.person_unchanged and item is not Item.COMPANY)


def _is_due(item: Item, result: Result) -> bool:
    match result.outcome:
        case Outcome.DELIVERED:
            return (
                item is Item.COMPANY
                or (item is Item.EMAIL and result.email_found)
                or (item is Item.PHONE and result.phone_found)
            )
        case Outcome.REJECTED:
            return item is Item.COMPANY and result.company_due
        case Outcome.EXCLUDED | Outcome.UNREACHED:
            return False


class FreeBecause(StrEnum):
    """Why a view costs nothing."""

    PLAN = "plan"
    EXPORTED = "exported"
    VIEWED = "viewed"


def view_price(
    terms: Terms,
    entitlement: Entitlement | None,
    at: datetime,
) -> tuple[int, FreeBecause | None]:
    """What viewing a company costs `at` that moment, and why it is free if it is."""
    if not terms.views_count:
        return 0, FreeBecause.PLAN
    since = terms.window_starts(at)
    if entitlement is None or not is_free(entitlement, Item.COMPANY, terms, since):
        return terms.view, None
    exported_at = entitlement.exported_at
    if exported_at is not None and exported_at >= since:
        return 0, FreeBecause.EXPORTED
    return 0, FreeBecause.VIEWED
