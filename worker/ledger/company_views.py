"""Viewing a company: free and without a trace, or charged at once (section 2)."""

from pricing.plans import terms_of
from pricing.settlement import FreeBecause
from storage.ledger import company_views
from storage.ledger.company_views import Booked, View
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from storage.webhooks import events
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id, new_id, trimmed
from worker.licenses.licenses import open_license
from worker.licenses.spending_permission import (
    check_permission,
    telling_who_may_not_spend,
)


def view(
    deps: Deps,
    license_id: str,
    user_id: str,
    company_id: str,
    *,
    once: Once | None = None,
) -> Booked:
    """View a company, at once and for good.

    Raises `Refused` where the user may not spend or the credits do not suffice; a
    view that costs nothing goes through for everybody.
    """
    check_id("user", user_id)
    company_id = trimmed(company_id)
    check_id("company_id", company_id)
    license_ = open_license(deps, license_id)
    terms = terms_of(license_.plan, license_.payment_term)
    if not terms.views_count:
        return Booked(0, FreeBecause.PLAN)
    with telling_who_may_not_spend(deps), deps.database.transaction() as connection:
        wanted = View(
            id=new_id("view"),
            license_id=license_id,
            user_id=user_id,
            company_id=company_id,
            credits=terms.view,
            free_since=terms.window_starts(licenses.business_now(connection)),
        )
        booked = company_views.book(connection, wanted)
        if booked is None:
            raise _insufficient(terms.view)
        check_permission(connection, license_id, user_id, booked.credits)
        if booked.credits:
            events.credits_low(
                connection, license_id, share=deps.settings.credits_low_share
            )
        if once is not None:
            once(connection, wanted.id)
    return booked


def price(deps: Deps, license_id: str, company_id: str) -> Booked:
    """What viewing a company would cost just now; it books nothing."""
    company_id = trimmed(company_id)
    check_id("company_id", company_id)
    license_ = open_license(deps, license_id)
    terms = terms_of(license_.plan, license_.payment_term)
    if not terms.views_count:
        return Booked(0, FreeBecause.PLAN)
    with deps.database.transaction() as connection:
        since = terms.window_starts(licenses.business_now(connection))
        because = company_views.free_because(connection, license_id, company_id, since)
    return Booked(0 if because else terms.view, because)


def viewed(deps: Deps, license_id: str, view_id: str) -> Booked | None:
    """A view that was booked before, as it was answered."""
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        return company_views.of_id(connection, view_id)


def _insufficient(needed: int) -> Refused:
    return Refused(
        Code.INSUFFICIENT_CREDITS,
        f"{needed} credits are needed, 0 are available",
        available=0,
        needed=needed,
        fits_records=0,
    )
