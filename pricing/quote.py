"""The quote: the most a job can cost, line by line (rules 2, 3, 8 and 9).

A `Tally` takes the records in their order and freezes each claim's price the first
time it is asked, so that a subject has one price in the whole job. It takes them by
columns, and holds of a million records what it is told to come again.
"""

from array import array
from collections.abc import Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from pricing.claim_patterns import NOTHING, Patterns
from pricing.claims import (
    KNOWN,
    OWN,
    AskedColumns,
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


_Live = Mapping[Item, Mapping[str, int | None]]
"""The digests under which an id is free, each with the charge that it stands on.

By item; an item without any is not there.
"""

_NOTHING_LIVE: _Live = MappingProxyType({})


@dataclass(slots=True)
class _Count:
    count: int = 0
    free: int = 0


class Recurring(NamedTuple):
    """The ids that records still to come may name again.

    Ids of companies that stand in two batches behind each other need not be here.
    """

    companies: AbstractSet[str]
    persons: AbstractSet[str]


class _Costs(NamedTuple):
    """What some records cost: companies, and by number persons not at full price."""

    companies: dict[str, int]
    persons: dict[int, int]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Prices records batch by batch; `quote()` then says what they cost at most.

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
    companies: int = 0
    persons: int = 0
    patterns: Patterns = field(default_factory=Patterns)
    changed: list[Changed] = field(default_factory=list)
    free_on: MutableSequence[int] = field(default_factory=lambda: array("q"))
    _free_since: datetime = field(init=False)
    _units: dict[Item, int] = field(init=False)
    _companies: dict[str, int] = field(default_factory=dict)
    # Those of the batch before: records of one company mostly stand together.
    _latest: dict[str, int] = field(default_factory=dict)
    # Whom an id stood for when it came first. Two texts a person, and no more: a
    # million may be held, and what the collector does not track costs it nothing.
    _persons: dict[str, str] = field(default_factory=dict)
    # The claims of those first ones, where they are not all at their full price.
    _reduced: dict[str, int] = field(default_factory=dict)
    _others: dict[tuple[str, str], int] = field(default_factory=dict)
    _counts: dict[Item, _Count] = field(
        default_factory=lambda: {item: _Count() for item in Item},
    )
    _full_company: int = field(init=False)
    _full_known: int = field(init=False)
    _full_own: int = field(init=False)
    _full_price: int = field(init=False)

    def __post_init__(self) -> None:
        self._free_since = self.terms.window_starts(self.quoted_at)
        self._units = {item: self.terms.unit(item) for item in Item}
        company = PricedClaim(Item.COMPANY, KNOWN, self._units[Item.COMPANY])
        self._full_company = self.patterns.place((company,))
        full = tuple(
            [PricedClaim(item, OWN, self._units[item]) for item in self.retrieve]
        )
        self._full_own = self.patterns.place(full)
        self._full_known = self.patterns.place(resolved(full, KNOWN))
        self._full_price = sum(claim.credits for claim in full)

    def price_all(
        self,
        asked: AskedColumns,
        paid: Entitlements,
        *,
        recurring: Recurring | None = None,
        left_out: AbstractSet[int] = frozenset(),
    ) -> list[int]:
        """Freeze the prices of some records, none a duplicate; the pattern of each.

        Those whose numbers are `left_out` ask for nothing. Without `recurring` every
        id may come again, and all are held.
        """
        before = self.max_credits
        costs, latest = _Costs({}, {}), self._latest
        if left_out:
            places = [
                place
                for place, number in enumerate(asked.numbers)
                if number not in left_out
            ]
            priced = self._priced(asked.at(places), paid, recurring, costs)
            patterns = [NOTHING] * len(asked.numbers)
            for place, pattern in zip(places, priced, strict=True):
                patterns[place] = pattern
            self.excluded += len(patterns) - len(places)
            # Whom they name stands here, too.
            for company_id in latest.keys() & set(asked.company_ids):
                self._latest.setdefault(company_id, latest[company_id])
        else:
            patterns = self._priced(asked, paid, recurring, costs)
        self.records += len(patterns)
        if self.max_credits <= self.available:
            self.fits_records = self.records
        elif before <= self.available:
            self.fits_records += self._fitting(asked, before, costs, left_out)
        return patterns

    def _fitting(
        self,
        asked: AskedColumns,
        credits_before: int,
        costs: _Costs,
        left_out: AbstractSet[int],
    ) -> int:
        """How many of the first of these records the available credits suffice for."""
        spent = credits_before
        for count, (number, company_id, person_id) in enumerate(
            zip(asked.numbers, asked.company_ids, asked.person_ids, strict=True)
        ):
            if number not in left_out:
                spent += costs.companies.pop(company_id, 0)
                if person_id is not None:
                    spent += costs.persons.get(number, self._full_price)
            if spent > self.available:
                return count
        return len(asked.numbers)

    def _priced(
        self,
        asked: AskedColumns,
        paid: Entitlements,
        recurring: Recurring | None,
        costs: _Costs,
    ) -> list[int]:
        """The pattern of each record; notes what it costs where that is not usual."""
        companies = self._companies_of(asked.company_ids, paid, recurring, costs)
        persons = self._persons_of(asked, paid, recurring, costs)
        return self.patterns.joined(companies, persons)

    def _companies_of(
        self,
        company_ids: Sequence[str],
        paid: Entitlements,
        recurring: Recurring | None,
        costs: _Costs,
    ) -> list[int]:
        held, latest = self._companies, self._latest
        here = dict.fromkeys(company_ids, self._full_company)
        new = here.keys() - held.keys() - latest.keys()
        here.update((one, latest[one]) for one in here.keys() & latest.keys())
        here.update((one, held[one]) for one in here.keys() & held.keys())
        for company_id in list(here) if paid else ():
            if company_id not in new or (Item.COMPANY, company_id) not in paid:
                continue
            credits_before = self.max_credits
            here[company_id] = self._company(company_id, paid)
            costs.companies[company_id] = self.max_credits - credits_before
            new.remove(company_id)
        self._count_companies(new)
        costs.companies.update(dict.fromkeys(new, self._units[Item.COMPANY]))
        if recurring is None:
            held.update(here)
        else:
            again = recurring.companies & here.keys()
            held.update({company_id: here[company_id] for company_id in again})
            self._latest = here
        return list(map(here.__getitem__, company_ids))

    def _count_companies(self, full_price: AbstractSet[str]) -> None:
        self.companies += len(full_price)
        self.max_credits += len(full_price) * self._units[Item.COMPANY]
        self._counts[Item.COMPANY].count += len(full_price)

    def _company(self, company_id: str, paid: Entitlements) -> int:
        live = self._live((Item.COMPANY,), company_id, paid)
        self.companies += 1
        return self.patterns.place((self._claim(Item.COMPANY, KNOWN, live),))

    def _persons_of(
        self,
        asked: AskedColumns,
        paid: Entitlements,
        recurring: Recurring | None,
        costs: _Costs,
    ) -> list[int]:
        """Whoever comes once and has been paid for by nobody: most of a million."""
        known, own = self._full_known, self._full_own
        places = [known if is_known else own for is_known in asked.known]
        person_ids = asked.person_ids
        alone = person_ids.count(None)
        if alone:
            for place, person_id in enumerate(person_ids):
                if person_id is None:
                    places[place] = NOTHING
        unusual = _unusual(person_ids, paid, recurring)
        self._count_at_full_price(len(places) - alone - len(unusual))
        is_any_asked = not all(asked.known[place] for place, _ in unusual)
        owns = asked.owns() if is_any_asked else ()
        for place, person_id in unusual:
            number = asked.numbers[place]
            digest = KNOWN if asked.known[place] else owns[place]
            credits_before = self.max_credits
            places[place] = self._person(number, person_id, digest, paid)
            costs.persons[number] = self.max_credits - credits_before
            if recurring is not None and person_id not in recurring.persons:
                del self._persons[person_id]
                self._reduced.pop(person_id, None)
        return places

    def _count_at_full_price(self, persons: int) -> None:
        self.persons += persons
        self.max_credits += persons * self._full_price
        for item in self.retrieve:
            self._counts[item].count += persons

    def _person(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> int:
        first = self._persons.get(person_id)
        if first is None:
            return self._first(number, person_id, digest, paid)
        if digest == first:
            return self._place_of_first(person_id, first)
        if digest == KNOWN:
            claims = self.patterns[self._place_of_first(person_id, first)]
            return self.patterns.place(resolved(claims, first))
        others = self._others.get((person_id, digest))
        if others is None:
            others = self._somebody_else(number, person_id, first, digest, paid)
            self._others[person_id, digest] = others
        return others

    def _somebody_else(
        self, number: int, person_id: str, first: str, digest: str, paid: Entitlements
    ) -> int:
        """Price whom an id stands for that stood for another before."""
        # A known id may have gone on with the subject that this one names.
        priced = {
            claim.item: claim
            for claim in self.patterns[self._place_of_first(person_id, first)]
            if claim.digest == digest
        }
        live = self._live(self.retrieve, person_id, paid)
        others = tuple(
            [
                priced.get(item) or self._claim(item, digest, live)
                for item in self.retrieve
            ]
        )
        new = [claim for claim in others if claim.item not in priced]
        self._note_changed(number, person_id, new)
        return self.patterns.place(others)

    def _first(
        self,
        number: int,
        person_id: str,
        digest: str,
        paid: Entitlements,
    ) -> int:
        """Price whom an id stands for when it comes first."""
        self._persons[person_id] = digest
        live = self._live(self.retrieve, person_id, paid)
        if not live:
            self._count_at_full_price(1)
            return self._at_full_price(digest)
        self.persons += 1
        claims = tuple([self._claim(item, digest, live) for item in self.retrieve])
        if digest != KNOWN:
            reused = [claim for claim in claims if claim.item in live]
            self._note_changed(number, person_id, reused)
        self._reduced[person_id] = self.patterns.place(claims)
        return self._reduced[person_id]

    def _place_of_first(self, person_id: str, digest: str) -> int:
        return self._reduced.get(person_id) or self._at_full_price(digest)

    def _at_full_price(self, digest: str) -> int:
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
            self._line(item, self._counts[item])
            for item in Item
            if self._counts[item].count
        )
        return Quote(
            terms=self.terms,
            quoted_at=self.quoted_at,
            max_credits=self.max_credits,
            lines=lines,
            records=self.records,
            companies=self.companies,
            persons=self.persons,
            duplicates=self.duplicates,
            excluded=self.excluded,
            changed=tuple(self.changed),
            available=self.available,
            fits_records=self.fits_records,
            trimmed=self.trimmed,
            free_on=self.free_on,
        )

    def _line(self, item: Item, counted: _Count) -> Line:
        unit = self._units[item]
        return Line(
            item=item,
            count=counted.count,
            free=counted.free,
            unit_credits=unit,
            credits=(counted.count - counted.free) * unit,
        )


def _unusual(
    person_ids: Sequence[str | None],
    paid: Entitlements,
    recurring: Recurring | None,
) -> list[tuple[int, str]]:
    """Whoever may have come before, come again, or been paid for; where they stand."""
    if recurring is None:
        return [(place, one) for place, one in enumerate(person_ids) if one is not None]
    ids = {subject for item, subject in paid if item is not Item.COMPANY}
    ids |= recurring.persons
    if not ids:
        return []
    return [
        (place, one)
        for place, one in enumerate(person_ids)
        if one is not None and one in ids
    ]
