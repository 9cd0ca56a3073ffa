"""The price table as data: plans V1, V2 and V3, and the terms a quote freezes.

A table that has been sold is never edited: a new price is a new table with the
next version. What was quoted keeps its own terms, so no later table can move it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class Plan(StrEnum):
    """The plan a license is on."""

    V1 = "V1"
    V2 = "V2"
    V3 = "V3"


class PaymentTerm(StrEnum):
    """How often a license pays; a period is one payment term."""

    MONTHLY = "monthly"
    YEARLY = "yearly"


class Item(StrEnum):
    """What a charge can be for."""

    COMPANY = "company"
    EMAIL = "email"
    PHONE = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """One plan's prices in credits, and its free windows in days."""

    view: int
    company: int
    email: int
    phone: int
    window_days: Mapping[PaymentTerm, int]
    views_count: bool
    """Whether viewing a company is an entitlement: it costs, and it frees."""


def _window(monthly: int, yearly: int) -> Mapping[PaymentTerm, int]:
    return MappingProxyType(
        {PaymentTerm.MONTHLY: monthly, PaymentTerm.YEARLY: yearly},
    )


_V1 = Prices(
    view=0,
    company=1,
    email=1,
    phone=2,
    window_days=_window(monthly=30, yearly=30),
    views_count=False,
)
_V2 = Prices(
    view=0,
    company=1,
    email=1,
    phone=2,
    window_days=_window(monthly=30, yearly=30),
    views_count=False,
)
_V3 = Prices(
    view=1,
    company=1,
    email=1,
    phone=2,
    window_days=_window(monthly=30, yearly=365),
    views_count=True,
)

TABLES: Mapping[int, Mapping[Plan, Prices]] = MappingProxyType(
    {1: MappingProxyType({Plan.V1: _V1, Plan.V2: _V2, Plan.V3: _V3})},
)
CURRENT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A plan's prices and free window, as frozen into each quote (rule 3).

    There is no price for a person: a person costs the company's credit, and all
    further contacts of that company are free.
    """

    plan: Plan
    payment_term: PaymentTerm
    version: int
    view: int
    company: int
    email: int
    phone: int
    window_days: int
    views_count: bool

    def unit(self, item: Item) -> int:
        """Credits for one `item` that is not free."""
        match item:
            case Item.COMPANY:
                return self.company
            case Item.EMAIL:
                return self.email
            case Item.PHONE:
                return self.phone

    def window_starts(self, at: datetime) -> datetime:
        """The earliest instant that still counts `at` that moment (rule 1).

        Rolling, to the second: what happened exactly one window ago counts.
        """
        return at.replace(microsecond=0) - timedelta(days=self.window_days)


def terms_of(plan: Plan, payment_term: PaymentTerm) -> Terms:
    """The terms that a new quote on this plan freezes today."""
    prices = TABLES[CURRENT_VERSION][plan]
    return Terms(
        plan=plan,
        payment_term=payment_term,
        version=CURRENT_VERSION,
        view=prices.view,
        company=prices.company,
        email=prices.email,
        phone=prices.phone,
        window_days=prices.window_days[payment_term],
        views_count=prices.views_count,
    )
