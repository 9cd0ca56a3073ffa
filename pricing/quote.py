"""The quote: the most a job can cost, line by line (rules 2, 3, 8 and 9).

A `Tally` takes the records in their order and freezes each claim's price the first
time it is asked, so that a subject has one price in the whole job; a million
records pass through it without being held.
"""

from array import array
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from pricing.claims import (
    KNOWN,
    OWN,
    Asking,
    Entitlements,
    PricedClaim,
    is_free,
    resolved,
    stands_on,
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
    """A guarantee: the job settles at most at `max_credits`.

    `trimmed` counts the records that had white space around an id.
    """

    terms: Terms
    quoted_at: datetime
    max_credits: int
    lines: tuple[Line, ...]
    records: int
    companies: int
    persons: int
    duplicates: int
    excluded: int
    changed: tuple[Changed, ...]
    available: int
    fits_records: int
    trimmed: int = 0
    free_on: Sequence[int] = ()
    """The charges that its free claims stand on; a refund of one leaves it so."""

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


_Claims = tuple[PricedClaim, ...]

_Live = Mapping[Item, Mapping[str, int | None]]
"""The digests under which an id is free, each with the charge that it stands on.

By item; an item without any is not there.
"""

_NOTHING_LIVE: _Live = MappingProxyType({})


@dataclass(slots=True)
class _Count:
    count: int = 0
    free: int = 0


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
    trimmed: int = 0
    excluded: int = 0
    fits_records: int = 0
    max_credits: int = 0
    changed: list[Changed] = field(default_factory=list)
    free_on: MutableSequence[int] = field(default_factory=lambda: array("q"))
    _free_since: datetime = field(init=False)
    _units: dict[Item, int] = field(init=False)
    _seen: set[tuple[str, str | None]] = field(default_factory=set)
    _companies: dict[str, _Claims] = field(default_factory=dict)
    # Whom an id stood for when it came first. Two texts a person, and no more: a
    # million are held, and what the collector does not track costs it nothing.
    _persons: dict[str, str] = field(default_factory=dict)
    # The claims of those first ones, where they are not all at their full price.
    _reduced: dict[str, _Claims] = field(default_factory=dict)
    _others: dict[tuple[str, str], _Claims] = field(default_factory=dict)
    _counts: dict[Item, _Count] = field(
        default_factory=lambda: {item: _Count() for item in Item},
    )
    _shared: dict[_Claims, _Claims] = field(default_factory=dict)
    _full_known: _Claims = field(init=False)
    _full_own: _Claims = field(init=False)
    _full_price: int = field(init=False)
    _persons_at_full_price: int = 0

    def __post_init__(self) -> None:
        self._free_since = self.terms.window_starts(self.quoted_at)
        self._units = {item: self.terms.unit(item) for item in Item}
        self._full_own = tuple(
            PricedClaim(item, OWN, self._units[item]) for item in self.retrieve
        )
        self._full_known = resolved(self._full_own, KNOWN)
        self._full_price = sum(claim.credits for claim in self._full_known)

    def is_duplicate(self, asked: Asking) -> bool:
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
        asked: Asking,
        digest: str,
        paid: Entitlements,
    ) -> tuple[PricedClaim, ...]:
        """Freeze the prices of one record, which must not be a duplicate.

        `number` counts from 1 in the input. `digest` is what the person is looked up
        by, `KNOWN` where the directory knows it: what `OWN` stands for in the claims.
        """
        company_id, person_id = asked.company_id, asked.person_id
        claims = self._companies.get(company_id) or self._company(company_id, paid)
        if person_id is not None:
            if paid or person_id in self._persons:
                claims += self._person(number, person_id, digest, paid)
            else:
                claims += self._new_person(person_id, digest)
        self._count_record()
        return claims

    def leave_out(self) -> None:
        """Count a record that a filter leaves out: it asks for nothing."""
        self.excluded += 1
        self._count_record()

    def _count_record(self) -> None:
        self.records += 1
        if self.max_credits <= self.available:
            self.fits_records = self.records

    def _company(self, company_id: str, paid: Entitlements) -> _Claims:
        live = self._live((Item.COMPANY,), company_id, paid)
        claims = self._share((self._claim(Item.COMPANY, KNOWN, live),))
        self._companies[company_id] = claims
        return claims

    def _share(self, claims: _Claims) -> _Claims:
        """One object for all ids with the same prices: most of a million are alike."""
        return self._shared.setdefault(claims, claims)

    def _person(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> _Claims:
        first = self._persons.get(person_id)
        if first is None:
            return self._first(number, person_id, digest, paid)
        if digest == first:
            return self._claims_of_first(person_id, first)
        if digest == KNOWN:
            return resolved(self._claims_of_first(person_id, first), first)
        others = self._others.get((person_id, digest))
        if others is None:
            # A known id may have gone on with the subject that this one names.
            priced = {
                claim.item: claim
                for claim in self._claims_of_first(person_id, first)
                if claim.digest == digest
            }
            live = self._live(self.retrieve, person_id, paid)
            others = tuple(
                [
                    priced.get(item) or self._claim(item, digest, live)
                    for item in self.retrieve
                ]
            )
            self._others[person_id, digest] = self._share(others)
            self._note_changed(
                number,
                person_id,
                [claim for claim in others if claim.item not in priced],
            )
        return others

    def _first(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> _Claims:
        """Price whom an id stands for when it comes first."""
        live = self._live(self.retrieve, person_id, paid)
        if not live:
            return self._new_person(person_id, digest)
        self._persons[person_id] = digest
        claims = tuple([self._claim(item, digest, live) for item in self.retrieve])
        if digest != KNOWN:
            reused = [claim for claim in claims if claim.item in live]
            self._note_changed(number, person_id, reused)
        self._reduced[person_id] = self._share(claims)
        return claims

    def _new_person(self, person_id: str, digest: str) -> _Claims:
        """Whoever comes first and has been paid for by nobody: most of a million."""
        self._persons[person_id] = digest
        self._persons_at_full_price += 1
        self.max_credits += self._full_price
        return self._at_full_price(digest)

    def _claims_of_first(self, person_id: str, digest: str) -> _Claims:
        return self._reduced.get(person_id) or self._at_full_price(digest)

    def _at_full_price(self, digest: str) -> _Claims:
        return self._full_known if digest == KNOWN else self._full_own

    def _note_changed(
        self, number: int, person_id: str, claims: Sequence[PricedClaim]
    ) -> None:
        self.changed += [
            Changed(number, claim.item, person_id) for claim in claims if claim.credits
        ]

    def _live(self, items: Sequence[Item], subject: str, paid: Entitlements) -> _Live:
        if not paid:
            return _NOTHING_LIVE
        live = {}
        for item in items:
            digests = {
                entitlement.digest: stands_on(entitlement, self._free_since)
                for entitlement in paid.get((item, subject), ())
                if is_free(entitlement, item, self.terms, self._free_since)
            }
            if digests:
                live[item] = digests
        return live

    def _claim(self, item: Item, digest: str, live: _Live) -> PricedClaim:
        """Price one claim that is new to this job, and count it in its line."""
        price = self._units[item]
        by_id = digest == KNOWN
        digests = live.get(item)
        if digests:
            if by_id and KNOWN not in digests:
                # The id alone decides: go on with the subject that was paid for.
                digest = min(digests)
            if digest in digests:
                price = 0
                payer = digests[digest]
                if payer is not None:
                    self.free_on.append(payer)
        count = self._counts[item]
        count.count += 1
        count.free += price == 0
        self.max_credits += price
        return PricedClaim(item, digest if by_id else OWN, price)

    def quote(self) -> Quote:
        """What all records priced so far cost at most."""
        lines = tuple(
            self._line(item, self._count_of(item), self._counts[item].free)
            for item in Item
            if self._count_of(item)
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
            excluded=self.excluded,
            changed=tuple(self.changed),
            available=self.available,
            fits_records=self.fits_records,
            trimmed=self.trimmed,
            free_on=self.free_on,
        )

    def _count_of(self, item: Item) -> int:
        count = self._counts[item].count
        return count + self._persons_at_full_price * (item in self.retrieve)

    def _line(self, item: Item, count: int, free: int) -> Line:
        unit = self._units[item]
        return Line(
            item=item,
            count=count,
            free=free,
            unit_credits=unit,
            credits=(count - free) * unit,
        )
