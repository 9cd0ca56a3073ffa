"""The credits of a license: top-ups, and the balance of its running period."""

from pricing.periods import Period
from storage.ledger import balances, grants
from storage.ledger.grants import GrantResult
from storage.licenses import licenses
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id
from worker.licenses.credit_amounts import check_credits
from worker.licenses.licenses import first_period, no_period_yet, open_license

_LOOKS_MAX = 3
"""A period ends while somebody looks at most once; more is no matter of chance."""


def top_up(deps: Deps, license_id: str, credits_added: int, reference: str) -> bool:
    """Add credits to the running period; False where this reference did so before."""
    check_credits("credits", credits_added, least=1)
    check_id("reference", reference)
    license_ = open_license(deps, license_id)
    with deps.database.transaction() as connection:
        now = licenses.business_now(connection)
        result = grants.grant(connection, license_id, credits_added, reference)
    match result:
        case GrantResult.CREATED:
            return True
        case GrantResult.EXISTS:
            return False
        case GrantResult.EXISTS_WITH_DIFFERENT_AMOUNT:
            raise Refused(
                Code.ALREADY_EXISTS, f"{reference} has added other credits before"
            )
        case GrantResult.NO_RUNNING_PERIOD if license_.starts_at <= now:
            raise no_period_yet(license_id)
        case GrantResult.NO_RUNNING_PERIOD:
            raise Refused(Code.WRONG_STATE, f"license {license_id} has not started")


def balance_of(deps: Deps, license_id: str) -> balances.Balance:
    """The running period's credits; before the license starts, the first one's: none.

    Raises `Refused` where there is no such license.
    """
    for _ in range(_LOOKS_MAX):
        license_ = open_license(deps, license_id)
        with deps.database.transaction() as connection:
            found = balances.balance(connection, license_id)
            now = licenses.business_now(connection)
        if found is not None:
            return found
        if now < license_.starts_at:
            return _nothing_in(first_period(license_))
        # The period has ended since it was opened: the next one is to be opened.
    raise no_period_yet(license_id)


def _nothing_in(first: Period) -> balances.Balance:
    return balances.Balance(
        starts_at=first.starts_at,
        ends_at=first.ends_at,
        granted=0,
        reserved=0,
        spent=0,
        expired=0,
    )
