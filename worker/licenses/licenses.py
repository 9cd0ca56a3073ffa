"""Licenses, their users and their calendar.

A refusal is raised as `Refused`, and rolls back all that its transaction did.
"""

from dataclasses import dataclass
from datetime import datetime

from pricing.periods import Period, period_at
from pricing.plans import PaymentTerm, Plan
from storage.ledger import balances, periods
from storage.licenses import licenses
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id, check_name
from worker.licenses.credit_amounts import check_credits


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLicense:
    """A license to be created; without a start it starts at once."""

    id: str
    name: str
    plan: Plan
    payment_term: PaymentTerm
    credits: int
    features: frozenset[str] = frozenset()
    starts_at: datetime | None = None


def create_license(deps: Deps, wanted: NewLicense) -> licenses.CreateResult:
    """Create a license with its running period, once.

    Raises `BadInput`, and `Refused` where another license has this id.
    """
    check_id("id", wanted.id)
    check_name(wanted.name)
    check_credits("credits", wanted.credits, least=0)
    with deps.database.transaction() as connection:
        license_ = licenses.License(
            id=wanted.id,
            name=wanted.name,
            plan=wanted.plan,
            payment_term=wanted.payment_term,
            credits=wanted.credits,
            features=wanted.features,
            starts_at=wanted.starts_at or licenses.business_now(connection),
        )
        result = licenses.create(
            connection, license_, starts_at_given=wanted.starts_at is not None
        )
        if result is licenses.CreateResult.EXISTS_WITH_DIFFERENT_CONTENT:
            raise Refused(
                Code.ALREADY_EXISTS, f"license {wanted.id} exists with other content"
            )
        periods.open_current(connection, wanted.id)
    return result


def open_license(deps: Deps, license_id: str) -> licenses.License:
    """The license, its running period opened. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        license_ = licenses.get(connection, license_id)
        if license_ is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        periods.open_current(connection, license_id)
    return license_


def open_account(deps: Deps, license_id: str) -> balances.Account:
    """The same, with its balance. Raises `Refused` where there is no license."""
    account = _account(deps, license_id)
    if account.balance is not None:
        return account
    open_license(deps, license_id)
    return _account(deps, license_id)


def _account(deps: Deps, license_id: str) -> balances.Account:
    with deps.database.reading() as connection:
        account = balances.account(connection, license_id)
    if account is None:
        raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
    return account


def no_period_yet(license_id: str) -> Refused:
    """What is said where a license has begun, and its period ended while one looked."""
    return Refused(
        Code.UNAVAILABLE,
        f"a period of license {license_id} has just ended: try again",
    )


def change_license(
    deps: Deps, license_id: str, change: licenses.Change
) -> licenses.License:
    """Change plan, term, credits or features; the running period stays as it is.

    Raises `BadInput`, and `Refused` where there is no such license.
    """
    if change.credits is not None:
        check_credits("credits", change.credits, least=0)
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        licenses.change(connection, license_id, change)
        if change.payment_term is not None:
            periods.change_term(connection, license_id, change.payment_term)
        changed = licenses.get(connection, license_id)
    if changed is None:
        raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
    return changed


def put_user(deps: Deps, license_id: str, user: licenses.User) -> None:
    """Say who a user is. Raises `BadInput`, and `Refused` without the license."""
    check_id("user", user.id)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        licenses.put_user(connection, license_id, user)


def first_period(license_: licenses.License) -> Period:
    """The period that a license starts with."""
    starts_at = license_.starts_at
    first = period_at(starts_at, license_.payment_term, starts_at)
    assert first is not None  # noqa: S101 - an instant is not before itself
    return first
