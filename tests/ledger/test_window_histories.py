"""Random histories of one company against an oracle that knows nothing of entitlements.

The oracle sees the lines alone: when each was written, whether it paid, since when a
use would have freed it, and what was refunded. It says of each answer whether it was
paid for twice, or given away.
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

from pricing.claims import KNOWN
from pricing.plans import Item, PaymentTerm, Plan, Terms, terms_of
from pricing.quote import Tally
from storage.database import Database
from storage.ledger import (
    audit,
    business_clock,
    company_views,
    entitlements,
    periods,
    refunds,
    settlement,
)
from storage.ledger.company_views import View
from storage.ledger.refunds import RefundResult
from storage.ledger.settlement import Claim, Payer
from storage.licenses import licenses
from tests.support.stored_jobs import USER, end_job, make_job, make_license, payer_of

TERMS = {
    "V1": terms_of(Plan.V1, PaymentTerm.YEARLY),
    "V2": terms_of(Plan.V2, PaymentTerm.MONTHLY),
    "V3 monthly": terms_of(Plan.V3, PaymentTerm.MONTHLY),
    "V3 yearly": terms_of(Plan.V3, PaymentTerm.YEARLY),
}
SPELLINGS = ("c1", " c1", "c1\u2003")
DAYS = (20, 35, 40, 400)
numbers = count()

Move = tuple[str, object]


class Line(NamedTuple):
    """A line as the oracle sees it; `cut` is since when a use would have freed it."""

    id: int
    at: datetime
    cut: datetime
    is_view: bool
    views_count: bool
    paid: bool


@dataclass
class Oracle:
    """Which lines there are, which were refunded, and what that allows."""

    lines: list[Line] = field(default_factory=list)
    refunded: set[int] = field(default_factory=set)

    def paid_within(self, cut: datetime, *, views_count: bool) -> bool:
        """Whether the license has paid, and keeps paying, for a use that frees."""
        return any(
            line.paid
            and line.id not in self.refunded
            and line.at >= cut
            and (views_count or not line.is_view)
            for line in self.lines
        )

    def carried_within(self, cut: datetime, *, views_count: bool) -> bool:
        """Whether some use frees that a payment carries through unbroken windows."""
        carried: list[Line] = []
        for line in self.lines:
            stands = (
                line.id not in self.refunded
                if line.paid
                else any(
                    use.at >= line.cut and (line.views_count or not use.is_view)
                    for use in carried
                )
            )
            if stands:
                carried.append(line)
        return any(
            use.at >= cut and (views_count or not use.is_view) for use in carried
        )

    def judge(self, cut: datetime, *, views_count: bool, pays: bool) -> None:
        """Refuse an answer that charges twice, or gives away."""
        if pays:
            assert not self.paid_within(cut, views_count=views_count), "paid twice"
        else:
            assert self.carried_within(cut, views_count=views_count), "given away"


@dataclass
class Quoted:
    """A job that waits to be settled."""

    job_id: str
    terms: Terms
    cut: datetime
    spelling: str
    price: int


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

    def _quote(self, asked: tuple[str, str]) -> None:
        terms, spelling = TERMS[asked[0]], asked[1]
        with self.transaction() as connection:
            now = licenses.business_now(connection)
            cut = terms.window_starts(now)
            paid = entitlements.paid(
                connection,
                self.license,
                cut,
                companies=[spelling],
                persons=[],
                items=[],
            )
            tally = Tally(terms=terms, quoted_at=now, retrieve=(), available=0)
            (claim,) = tally.price(1, _Company(spelling), KNOWN, paid)
            self.oracle.judge(
                cut, views_count=terms.views_count, pays=claim.credits > 0
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
        self.quoted.append(Quoted(job_id, terms, cut, spelling, claim.credits))

    def _settle(self, pick: int) -> None:
        if not self.quoted:
            return
        job = self.quoted.pop(pick % len(self.quoted))
        views = job.terms.views_count
        with self.transaction() as connection:
            payer: Payer = payer_of(connection, job.job_id)
            claims = [Claim(Item.COMPANY, job.spelling, KNOWN, job.price)]
            paid = settlement.settle(connection, payer, claims)
            if job.price:
                self.oracle.judge(job.cut, views_count=views, pays=paid > 0)
            assert settlement.settle(connection, payer, claims) == 0
            end_job(connection, job.job_id)
        self._see(job.cut, views_count=views)

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
            self.oracle.judge(cut, views_count=True, pays=booked.credits > 0)
        self._see(cut, views_count=True)
        with self.transaction() as connection:
            assert company_views.of_id(connection, view.id) == booked

    def _refund(self, pick: int) -> None:
        paid = [line.id for line in self.oracle.lines if line.paid]
        if not paid:
            return
        charge = paid[pick % len(paid)]
        with self.transaction() as connection:
            result = refunds.refund(connection, charge, "a history")
        assert (result is RefundResult.REFUNDED) == (charge not in self.oracle.refunded)
        self.oracle.refunded.add(charge)

    def _see(self, cut: datetime, *, views_count: bool) -> None:
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
            Line(row.id, row.charged_at, cut, row.is_view, views_count, row.credits > 0)
        )


class _Company(NamedTuple):
    company_id: str
    person_id: str | None = None


MOVES = st.one_of(
    st.tuples(st.just("day"), st.sampled_from(DAYS)),
    st.tuples(
        st.just("quote"),
        st.tuples(st.sampled_from(sorted(TERMS)), st.sampled_from(SPELLINGS)),
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
    _promise(1_000, 30)(database)


def _exports(terms: str, spelling: str = "c1") -> list[Move]:
    return [("quote", (terms, spelling)), ("settle", 0)]


NAMED: dict[str, tuple[list[Move], list[int]]] = {
    "quoted in V2, a view pays, the settle pays, refunded, viewed again": (
        [
            ("quote", ("V2", "c1")),
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
            ("quote", ("V3 monthly", "c1")),
            ("refund", 1),
            ("settle", 0),
            ("view", "V3 monthly"),
        ],
        [1, 1, 0, 1],
    ),
    "an old quote beside the export within its window, a view between them": (
        [
            ("quote", ("V3 monthly", "c1")),
            *[("quote", ("V3 monthly", "c1")), ("settle", 1)],
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
        [*_exports("V2", "c1\u2003"), *_exports("V2", "c1"), *_exports("V2", " c1")],
        [1, 0, 0],
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
