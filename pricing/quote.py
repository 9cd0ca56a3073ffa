"""The quote: the most a job can cost, line by line (rules 2, 3, 8 and 9).

A `Tally` takes the records in their order and freezes each claim's price the first
time it is asked, so that a subject has one price in the whole job; a million
records pass through it without being held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from pricing.claims import KNOWN, Asked, Entitlements, PricedClaim, is_free
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
    quoted_at: datetime, lifetime_s: float, period_ends_at: datetime | None
) -> datetime:
    """When a quote ends: after its lifetime, and at the latest with its period."""
    ends_at = quoted_at + timedelta(seconds=lifetime_s)
    return ends_at if period_ends_at is None else min(ends_at, period_ends_at)


class _Subject(NamedTuple):
    """Whom an id stood for when it came first, and the claims priced for it."""

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
    _free_since: datetime = field(init=False)
    _units: dict[Item, int] = field(init=False)
    _seen: set[tuple[str, str | None]] = field(default_factory=set)
    _companies: dict[str, _Subject] = field(default_factory=dict)
    _persons: dict[str, _Subject] = field(default_factory=dict)
    _others: dict[tuple[str, str], tuple[PricedClaim, ...]] = field(
        default_factory=dict,
    )
    _counts: dict[Item, _Count] = field(
        default_factory=lambda: {item: _Count() for item in Item},
    )
    _shared: dict[_Subject, _Subject] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free_since = self.terms.window_starts(self.quoted_at)
        self._units = {item: self.terms.unit(item) for item in Item}

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
            claim = self._claim(Item.COMPANY, asked.company_id, KNOWN, paid)
            company = self._subject(KNOWN, (claim,))
            self._companies[asked.company_id] = company
        claims = company.claims
        if asked.person_id is not None:
            claims += self._person(number, asked.person_id, asked.digest, paid)
        self.records += 1
        if self.max_credits <= self.available:
            self.fits_records = self.records
        return claims

    def _subject(self, digest: str, claims: tuple[PricedClaim, ...]) -> _Subject:
        """One object for all ids with the same prices: most of a million are alike."""
        subject = _Subject(digest, claims)
        return self._shared.setdefault(subject, subject) if digest == KNOWN else subject

    def _person(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> tuple[PricedClaim, ...]:
        first = self._persons.get(person_id)
        if first is None:
            claims = self._claims(number, person_id, digest, paid, {})
            self._persons[person_id] = self._subject(digest, claims)
            return claims
        if digest in (KNOWN, first.digest):
            return first.claims
        others = self._others.get((person_id, digest))
        if others is None:
            # A known id may have gone on with the subject that this one names.
            same = {
                claim.item: claim for claim in first.claims if claim.digest == digest
            }
            others = self._claims(number, person_id, digest, paid, same)
            self._others[person_id, digest] = others
        return others

    def _claims(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
        priced: Mapping[Item, PricedClaim],
    ) -> tuple[PricedClaim, ...]:
        """Price what is retrieved for a subject, but for what has its price."""
        claims = tuple(
            [
                priced.get(item) or self._claim(item, person_id, digest, paid)
                for item in self.retrieve
            ]
        )
        if digest == KNOWN or not (paid or person_id in self._persons):
            return claims
        for claim in claims:
            if (
                claim.credits
                and claim.item not in priced
                and (
                    person_id in self._persons
                    or self._paid_digests(claim.item, person_id, paid)
                )
            ):
                self.changed.append(Changed(number, claim.item, person_id))
        return claims

    def _paid_digests(self, item: Item, subject: str, paid: Entitlements) -> set[str]:
        return {
            entitlement.digest
            for entitlement in paid.get((item, subject), ())
            if is_free(entitlement, item, self.terms, self._free_since)
        }

    def _claim(
        self,
        item: Item,
        subject: str,
        digest: str,
        paid: Entitlements,
    ) -> PricedClaim:
        """Price one claim that is new to this job, and count it in its line."""
        price = self._units[item]
        live = self._paid_digests(item, subject, paid) if paid else None
        if live:
            if digest == KNOWN:
                # The id alone decides: go on with the subject that was paid for.
                digest = KNOWN if KNOWN in live else min(live)
            if digest in live:
                price = 0
        count = self._counts[item]
        count.count += 1
        count.free += price == 0
        count.credits += price
        self.max_credits += price
        return PricedClaim(item, digest, price)

    def quote(self) -> Quote:
        """What all records priced so far cost at most."""
        lines = tuple(
            Line(
                item=item,
                count=count.count,
                free=count.free,
                unit_credits=self.terms.unit(item),
                credits=count.credits,
            )
            for item, count in self._counts.items()
            if count.count
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
