"""The quote: the most a job can cost, line by line (rules 2, 3, 8 and 9).

A `Tally` takes the records in their order and freezes each claim's price the first
time it is asked, so that a subject has one price in the whole job; a million
records pass through it without being held.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from pricing.claims import (
    KNOWN,
    Asked,
    Entitlements,
    PricedClaim,
    last_free_use,
)
from pricing.plans import Item, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """All distinct claims of one item: `credits = (count - free) * unit_credits`."""

    item: Item
    count: int
    free: int
    unit_credits: int
    credits: int


class Changed(NamedTuple):
    """A person's id that was paid for as somebody else, and is priced as new."""

    record: int
    item: Item
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A guarantee: the job settles at most at `max_credits`."""

    terms: Terms
    quoted_at: datetime
    max_credits: int
    lines: tuple[Line, ...]
    records: int
    companies: int
    persons: int
    duplicates: int
    changed: tuple[Changed, ...]
    available: int
    fits_records: int

    @property
    def affordable(self) -> bool:
        """Whether the credits available at the quote's moment suffice."""
        return self.max_credits <= self.available


def expires_at(
    quoted_at: datetime, lifetime_s: int, period_ends_at: datetime
) -> datetime:
    """When a quote ends: after its lifetime, and at the latest with its period."""
    return min(quoted_at + timedelta(seconds=lifetime_s), period_ends_at)


class _Person(NamedTuple):
    """One subject among those that share a person's id, and its priced claims."""

    digest: str
    claims: tuple[PricedClaim, ...]


@dataclass(slots=True)
class _Count:
    count: int = 0
    free: int = 0
    credits: int = 0


@dataclass(slots=True, kw_only=True)
class Tally:
    """Prices records one by one; `quote()` then says what they cost at most.

    `retrieve` are the items looked up for persons (e-mail, phone), `available` the
    credits that `fits_records` is measured against.
    """

    terms: Terms
    quoted_at: datetime
    retrieve: tuple[Item, ...]
    available: int
    records: int = 0
    duplicates: int = 0
    fits_records: int = 0
    max_credits: int = 0
    changed: list[Changed] = field(default_factory=list)
    _seen: set[tuple[str, str | None]] = field(default_factory=set)
    _companies: dict[str, PricedClaim] = field(default_factory=dict)
    _persons: dict[str, tuple[_Person, ...]] = field(default_factory=dict)
    _counts: dict[Item, _Count] = field(default_factory=dict)
    _interned: dict[PricedClaim, PricedClaim] = field(default_factory=dict)

    def is_duplicate(self, asked: Asked) -> bool:
        """Whether the same company with the same person (or none) came before."""
        key = (asked.company_id, asked.person_id)
        if key in self._seen:
            self.duplicates += 1
            return True
        self._seen.add(key)
        return False

    def price(
        self,
        number: int,
        asked: Asked,
        paid: Entitlements,
    ) -> tuple[PricedClaim, ...]:
        """Freeze the prices of one record, which must not be a duplicate.

        `number` counts from 1 in the input. `asked.digest` is `KNOWN` where the
        directory knows the person.
        """
        company = self._companies.get(asked.company_id)
        if company is None:
            company = self._claim(Item.COMPANY, asked.company_id, KNOWN, paid)
            self._companies[asked.company_id] = company
        persons: tuple[PricedClaim, ...] = ()
        if asked.person_id is not None:
            persons = self._person(number, asked.person_id, asked.digest, paid)
        self.records += 1
        if self.max_credits <= self.available:
            self.fits_records = self.records
        return (company, *persons)

    def _person(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> tuple[PricedClaim, ...]:
        others = self._persons.get(person_id, ())
        for other in others:
            if digest in (KNOWN, other.digest):
                return other.claims
        claims: list[PricedClaim] = []
        for item in self.retrieve:
            claim = self._claim(item, person_id, digest, paid)
            claims.append(claim)
            if claim.credits and digest != KNOWN:
                paid_as_other = self._paid_digests(item, person_id, paid) - {digest}
                if others or paid_as_other:
                    self.changed.append(Changed(number, item, person_id))
        self._persons[person_id] = (*others, _Person(digest, tuple(claims)))
        return tuple(claims)

    def _paid_digests(self, item: Item, subject: str, paid: Entitlements) -> set[str]:
        return {
            entitlement.digest
            for entitlement in paid.get((item, subject), ())
            if last_free_use(entitlement, item, self.terms, self.quoted_at)
        }

    def _claim(
        self,
        item: Item,
        subject: str,
        digest: str,
        paid: Entitlements,
    ) -> PricedClaim:
        """Price one claim that is new to this job, and count it in its line."""
        live = self._paid_digests(item, subject, paid) if paid else set()
        if digest == KNOWN and live:
            # The id alone decides: go on with the subject that was paid for.
            digest = KNOWN if KNOWN in live else min(live)
        unit = self.terms.unit(item)
        price = 0 if digest in live else unit
        count = self._counts.setdefault(item, _Count())
        count.count += 1
        count.free += price == 0
        count.credits += price
        self.max_credits += price
        claim = PricedClaim(item, digest, price)
        return self._interned.setdefault(claim, claim) if digest == KNOWN else claim

    def quote(self) -> Quote:
        """What all records priced so far cost at most."""
        lines = tuple(
            Line(
                item=item,
                count=self._counts[item].count,
                free=self._counts[item].free,
                unit_credits=self.terms.unit(item),
                credits=self._counts[item].credits,
            )
            for item in Item
            if item in self._counts
        )
        return Quote(
            terms=self.terms,
            quoted_at=self.quoted_at,
            max_credits=self.max_credits,
            lines=lines,
            records=self.records,
            companies=len(self._companies),
            persons=len(self._persons),
            duplicates=self.duplicates,
            changed=tuple(self.changed),
            available=self.available,
            fits_records=self.fits_records,
        )
