"""Random histories against an oracle that knows nothing of entitlements.

Of a company and a person it sees the lines alone: when each was written, whether it
paid, since when a use would have freed it, and what was refunded. It says of each
answer whether it was paid for twice, or given away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from pricing.claims import KNOWN, Asked, PricedClaim, lookup_digest, resolved
from pricing.findings import FoundColumns
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Tally
from pricing.settlement import Outcome, Result
from storage.database import Database
from storage.ledger import (
    audit,
    business_clock,
    company_views,
    entitlements,
    periods,
    settlement,
)
from storage.ledger.claims import Claim
from storage.ledger.company_views import View
from storage.ledger.settlement import Payer
from storage.licenses import licenses
from storage.refunds.refunds import RefundResult
from tests.support.priced import price
from tests.support.stored_jobs import (
    USER,
    end_job,
    make_job,
    make_license,
    payer_of,
    refund,
)
from worker.quotes.due_claims import due
from worker.quotes.priced_records import PricedRecords

TERMS = {
    "V1": terms_of(Plan.V1, PaymentTerm.YEARLY),
    "V2": terms_of(Plan.V2, PaymentTerm.MONTHLY),
    "V3 monthly": terms_of(Plan.V3, PaymentTerm.MONTHLY),
    "V3 yearly": terms_of(Plan.V3, PaymentTerm.YEARLY),
}
DAYS = (20, 35, 40, 400)
numbers = count()

Move = tuple[str, object]


class Use(NamedTuple):
    """What is used, and since when another use of it frees that."""

    item: Item
    digests: frozenset[str]
    cut: datetime
    views_count: bool

    def is_freed_by(self, other: "Line") -> bool:
        """Whether a line frees it: in the window, and no view that does not count."""
        return (
            other.use.item is self.item
            and bool(other.use.digests & self.digests)
            and other.at >= self.cut
            and (self.views_count or not other.is_view)
        )


class Line(NamedTuple):
    """A line as the oracle sees it."""

    id: int
    at: datetime
    use: Use
    is_view: bool
    paid: bool


@dataclass
class Oracle:
    """Which lines there are, which were refunded, and what that allows."""

    lines: list[Line] = field(default_factory=list)
    refunded: set[int] = field(default_factory=set)

    def judge(self, use: Use, *, pays: bool) -> None:
        """Refuse an answer that charges twice, or gives away."""
        if pays:
            kept = [
                line
                for line in self.lines
                if line.paid and line.id not in self.refunded
            ]
            assert not any(map(use.is_freed_by, kept)), "paid twice"
        else:
            assert any(map(use.is_freed_by, self.carried())), "given away"

    def carried(self) -> list[Line]:
        """The lines that some payment carries through unbroken windows."""
        carried: list[Line] = []
        for line in self.lines:
            if (
                line.id not in self.refunded
                if line.paid
                else any(map(line.use.is_freed_by, carried))
            ):
                carried.append(line)
        return carried


@dataclass
class Quoted:
    """A job that waits to be settled."""

    job_id: str
    use: Use
    claim: Claim


class History:
    """One license whose moves are played on the real ledger, and judged."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.license = f"license-{next(numbers)}"
        self.ahead = timedelta()
        self.oracle = Oracle()
        self.quoted: list[Quoted] = []
        with self.transaction() as connection:
            make_license(
                connection,
                self.license,
                credits_granted=1_000,
                starts_at=licenses.business_now(connection) - timedelta(days=2),
            )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self.database.transaction() as connection:
            business_clock.set_offset(connection, self.ahead.total_seconds())
            yield connection

    def play(self, move: Move) -> None:
        name, argument = move
        getattr(self, f"_{name}")(argument)

    def _day(self, days: int) -> None:
        self.ahead += timedelta(days=days)
        with self.transaction() as connection:
            periods.open_current(connection, self.license)

    def _quote(self, asked: tuple[str, "Subject"]) -> None:
        name, subject = asked
        terms = TERMS[name]
        with self.transaction() as connection:
            now = licenses.business_now(connection)
            item = Item.EMAIL if subject.person_id else Item.COMPANY
            retrieve = (item,) if subject.person_id else ()
            paid = entitlements.paid(
                connection,
                self.license,
                terms.window_starts(now),
                companies=[subject.company_id],
                persons=[subject.person_id] if subject.person_id else [],
                items=retrieve,
            )
            tally = Tally(terms=terms, quoted_at=now, retrieve=retrieve, available=0)
            asked_by = KNOWN if subject.known else subject.own
            record = Asked(subject.company_id, subject.person_id)
            claims = resolved(price(tally, 1, record, asked_by, paid), subject.own)
            claim = subject.claim(item, claims)
            use = Use(
                item,
                frozenset([claim.digest, claim.also or claim.digest]),
                terms.window_starts(now),
                terms.views_count,
            )
            # Where the directory knows the id, the id alone decides.
            everybody = {KNOWN, *DIGESTS} if subject.known else use.digests
            self.oracle.judge(
                use._replace(digests=frozenset(everybody)), pays=claim.credits > 0
            )
            job_id = f"{self.license}-{next(numbers)}"
            make_job(
                connection,
                job_id,
                claim.credits,
                license_id=self.license,
                quoted_at=now,
                terms=terms,
            )
        self.quoted.append(Quoted(job_id, use, claim))

    def _settle(self, pick: int) -> None:
        if not self.quoted:
            return
        job = self.quoted.pop(pick % len(self.quoted))
        with self.transaction() as connection:
            payer: Payer = payer_of(connection, job.job_id)
            paid = settlement.settle(connection, payer, [job.claim])
            if job.claim.credits:
                self.oracle.judge(job.use, pays=paid > 0)
            assert settlement.settle(connection, payer, [job.claim]) == 0
            end_job(connection, job.job_id)
        self._see(job.use)

    def _view(self, name: str) -> None:
        terms = TERMS[name]
        with self.transaction() as connection:
            cut = terms.window_starts(licenses.business_now(connection))
            view = View(
                id=f"view-{next(numbers)}",
                license_id=self.license,
                user_id=USER,
                company_id="c1",
                credits=terms.view,
                free_since=cut,
            )
            booked = company_views.book(connection, view)
            assert booked is not None
            use = Use(Item.COMPANY, frozenset([KNOWN]), cut, views_count=True)
            self.oracle.judge(use, pays=booked.credits > 0)
        self._see(use)
        with self.transaction() as connection:
            assert company_views.of_id(connection, view.id) == booked

    def _refund(self, pick: int) -> None:
        paid = [line.id for line in self.oracle.lines if line.paid]
        if not paid:
            return
        charge = paid[pick % len(paid)]
        with self.transaction() as connection:
            result = refund(connection, charge, "a history")
        assert (result is RefundResult.REFUNDED) == (charge not in self.oracle.refunded)
        self.oracle.refunded.add(charge)

    def _see(self, use: Use) -> None:
        """Let the oracle see the line that was written last."""
        with self.transaction() as connection:
            row = connection.execute(
                text("""
                    SELECT id, charged_at, view_id IS NOT NULL AS is_view, credits,
                           paid_by FROM charges
                     WHERE license_id = :license_id ORDER BY id DESC LIMIT 1"""),
                {"license_id": self.license},
            ).one()
        assert row.paid_by not in self.oracle.refunded
        self.oracle.lines.append(
            Line(row.id, row.charged_at, use, row.is_view, row.credits > 0)
        )


class Subject(NamedTuple):
    """Whom a record names, and whether the directory knows who that is."""

    company_id: str
    person_id: str | None = None
    own: str = KNOWN
    known: bool = False

    def claim(self, item: Item, claims: tuple[PricedClaim, ...]) -> Claim:
        """The claim for an item, as its delivered record makes it due."""
        records = PricedRecords(
            numbers=[1],
            company_ids=[self.company_id],
            person_ids=[self.person_id],
            claims=[0],
            patterns=[claims],
            others={"first_name": [NAMES.get(self.own, "")]},
        )
        delivered = Result(outcome=Outcome.DELIVERED, email_found=True)
        made = due(records, [delivered], FoundColumns.nothing(1)).claims
        at = made.items.index(item)
        return Claim(
            item,
            made.subjects[at],
            made.digests[at],
            made.credits[at],
            also=made.also[at],
        )


COMPANY = Subject("c1")
SPELLINGS = (COMPANY, Subject(" c1"), Subject("c1\u2003"))
NAMES = {lookup_digest(name, "", ""): name for name in ("Ada", "Bob")}
ADA, BOB = DIGESTS = tuple(NAMES)
PERSONS = [
    Subject("c1", person_id, own, known)
    for person_id in ("p1", "p1\t")
    for own in DIGESTS
    for known in (False, True)
]
MOVES = st.one_of(
    st.tuples(st.just("day"), st.sampled_from(DAYS)),
    st.tuples(
        st.just("quote"),
        st.tuples(
            st.sampled_from(sorted(TERMS)), st.sampled_from([*SPELLINGS, *PERSONS])
        ),
    ),
    st.tuples(st.just("settle"), st.integers(0, 3)),
    st.tuples(st.just("view"), st.sampled_from(["V3 monthly", "V3 yearly"])),
    st.tuples(st.just("refund"), st.integers(0, 3)),
)


def _play(database: Database, moves: list[Move]) -> History:
    history = History(database)
    for move in moves:
        history.play(move)
    with database.transaction() as connection:
        assert audit.run(connection) == []
    return history


def _promise(examples: int, length: int):
    """The property, over so many histories of at most so many moves."""

    @settings(
        max_examples=examples,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
        ],
    )
    @given(moves=st.lists(MOVES, min_size=4, max_size=length))
    def promise(database, moves):
        _play(database, moves)

    return promise


def test_no_history_pays_twice_or_gets_what_nobody_pays_for(database):
    _promise(25, 16)(database)


@pytest.mark.slow
def test_many_long_histories_pay_once_and_for_all(database):
    _promise(200, 30)(database)


def _exports(terms: str, subject: Subject = COMPANY) -> list[Move]:
    return [("quote", (terms, subject)), ("settle", 0)]


NAMED: dict[str, tuple[list[Move], list[int]]] = {
    "quoted in V2, a view pays, the settle pays, refunded, viewed again": (
        [
            ("quote", ("V2", COMPANY)),
            ("view", "V3 monthly"),
            ("settle", 0),
            ("refund", 1),
            ("view", "V3 monthly"),
        ],
        [1, 1, 0],
    ),
    "quoted free on a view that is refunded, the lapsed one before stays lapsed": (
        [
            ("view", "V3 monthly"),
            ("day", 35),
            ("view", "V3 monthly"),
            ("quote", ("V3 monthly", COMPANY)),
            ("refund", 1),
            ("settle", 0),
            ("view", "V3 monthly"),
        ],
        [1, 1, 0, 1],
    ),
    "an old quote beside the export within its window, a view between them": (
        [
            ("quote", ("V3 monthly", COMPANY)),
            *[("quote", ("V3 monthly", COMPANY)), ("settle", 1)],
            ("day", 35),
            ("view", "V3 monthly"),
            ("settle", 0),
        ],
        [1, 1, 0],
    ),
    "V3 view, V2 export, refunded, V3 view": (
        [("view", "V3 yearly"), *_exports("V2"), ("refund", 1), ("view", "V3 yearly")],
        [1, 1, 0],
    ),
    "two exports 40 days apart over a change of term, the later refunded": (
        [
            *_exports("V3 yearly"),
            ("day", 40),
            *_exports("V2"),
            ("refund", 1),
            *_exports("V3 yearly"),
        ],
        [1, 1, 0],
    ),
    "one company in two spellings": (
        [move for subject in SPELLINGS for move in _exports("V2", subject)],
        [1, 0, 0],
    ),
    "the directory learns an id between two quotes, and forgets it before a third": (
        [
            ("quote", ("V2", Subject("c1", "p1", ADA))),
            ("quote", ("V2", Subject("c1", "p1", ADA, known=True))),
            ("settle", 0),
            ("settle", 0),
            ("day", 20),
            *_exports("V2", Subject("c1", "p1", BOB, known=True)),
            *_exports("V2", Subject("c1", "p1", BOB)),
        ],
        [1, 0, 0, 0],
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_broke_simpler_rules_comes_out_right(database, name):
    moves, paid = NAMED[name]
    history = _play(database, moves)
    assert [int(line.paid) for line in history.oracle.lines] == paid


def test_the_order_of_refunds_does_not_matter(database):
    past: list[Move] = [
        ("view", "V3 yearly"),
        *_exports("V2"),
        ("day", 35),
        *_exports("V2"),
        ("view", "V3 monthly"),
    ]
    orders = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)]
    rows: dict[frozenset[int], set[tuple[object, ...]]] = {
        frozenset(order): set() for order in orders
    }
    for order in orders:
        history = _play(database, [*past, *[("refund", pick) for pick in order]])
        rows[frozenset(order)].add(_entitlement(history))
    assert all(len(seen) == 1 for seen in rows.values())


def _entitlement(history: History) -> tuple[object, ...]:
    """Which lines its uses stand on, counted from its first."""
    places = {line.id: place for place, line in enumerate(history.oracle.lines)}
    with history.database.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT exported_by, viewed_by FROM entitlements
                 WHERE license_id = :license_id"""),
            {"license_id": history.license},
        ).one()
    return tuple(places.get(charge) for charge in row)


def test_a_line_is_later_than_all_that_its_entitlement_remembers(database):
    history = History(database)
    for move in _exports("V2"):
        history.play(move)
    first = history.oracle.lines[0].at
    # A clock that is behind must not write a line before the one that it stands on.
    history.ahead = -timedelta(days=1)
    for move in _exports("V2"):
        history.play(move)
    assert history.oracle.lines[1].at - first == timedelta(microseconds=1)
