"""Any sequence of movements, against a model that fits on a page.

Business time stands at full hours and moves by hours, so that the milliseconds a
step takes decide nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, text

from pricing.plans import PaymentTerm
from pricing.settlement import Rule
from storage.database import Database
from storage.errors import Superseded
from storage.ledger import (
    audit,
    balances,
    business_clock,
    grants,
    periods,
)
from storage.ledger.grants import GrantResult
from storage.ledger.reservations import ReserveResult
from storage.refunds.refunds import RefundResult
from tests.support.stored_jobs import (
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)

START = datetime(2027, 1, 1, tzinfo=UTC)
WINDOW_HOURS = 30 * 24
CREDITS = 25
PRICES = {"company:c1": 1, "email:p1": 1, "phone:p1": 2}
ALL = frozenset(PRICES)
SOME = st.just(ALL) | st.frozensets(st.sampled_from(sorted(ALL)), min_size=1)


@dataclass
class Period:
    granted: int
    spent: int = 0
    expired: int = 0
    ended: bool = False


@dataclass
class Line:
    credits: int
    rule: Rule
    refunded: bool = False


@dataclass
class Job:
    id: str
    period: Period
    quoted: int
    prices: dict[str, int]
    unchanged: frozenset[str]
    open: bool = True
    lines: dict[str, Line] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)

    @property
    def amount(self) -> int:
        return sum(self.prices.values())

    @property
    def settled(self) -> int:
        return sum(line.credits for line in self.lines.values())


@dataclass
class Paid:
    """Which line paid for a subject, and the hour of its last use."""

    line: Line
    used: int


class Ledger(RuleBasedStateMachine):
    """One license; each rule does one thing to the ledger and to the model."""

    database: Database
    numbers = count()
    started = datetime.now(UTC)
    jobs = Bundle("jobs")

    @initialize(target=jobs, with_a_past=st.booleans())
    def create_the_license(self, with_a_past):
        self.hour = 0
        self.license = f"license-{next(self.numbers)}"
        self.references: dict[str, int] = {}
        self.all_jobs: list[Job] = []
        self.paid: dict[str, Paid] = {}
        with self.transaction() as connection:
            make_license(
                connection,
                self.license,
                term=PaymentTerm.MONTHLY,
                credits_granted=CREDITS,
                starts_at=START,
            )
        self.periods = {self.month(): Period(CREDITS)}
        if not with_a_past:
            return multiple()
        past = self.reserve(ALL, frozenset())
        rival = self.reserve(ALL, frozenset())
        self.settle(past, ALL, again=False)
        self.close(past)
        return multiple(past, rival)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        offset = START - self.started + timedelta(hours=self.hour)
        with self.database.transaction() as connection:
            business_clock.set_offset(connection, offset.total_seconds())
            business_clock.confirm(connection)
            yield connection

    # -- What the model answers -------------------------------------------------

    def month(self) -> str:
        return f"{START + timedelta(hours=self.hour):%Y-%m}"

    def running(self) -> Period | None:
        return self.periods.get(self.month())

    def held(self, period: Period) -> list[Job]:
        return [job for job in self.all_jobs if job.open and job.period is period]

    def available(self, period: Period) -> int:
        held = sum(job.amount for job in self.held(period))
        return period.granted - period.spent - period.expired - held

    def is_free(self, subject: str, quoted: int) -> bool:
        paid = self.paid.get(subject)
        return paid is not None and paid.used >= quoted - WINDOW_HOURS

    def end_what_is_over(self) -> int:
        over = [
            period
            for month, period in self.periods.items()
            if month != self.month() and not period.ended
        ]
        for period in over:
            period.expired += self.available(period)
            period.ended = True
        return len(over)

    # -- What is done -----------------------------------------------------------

    @rule(hours=st.sampled_from([1, 24 * 9, 24 * 29, 24 * 31]), needed=st.booleans())
    def time_goes_on(self, hours, needed):
        self.hour += hours
        if needed:
            self.open_the_period()

    def open_the_period(self):
        with self.transaction() as connection:
            assert periods.open_current(connection, self.license)
        if self.running() is None:
            self.end_what_is_over()
            self.periods[self.month()] = Period(CREDITS)

    @rule()
    def end_the_periods(self):
        with self.transaction() as connection:
            ended = periods.end(connection, license_id=self.license)
        assert ended == self.end_what_is_over()

    @rule(credits_added=st.integers(1, 3), reference=st.sampled_from("abc"))
    def grant(self, credits_added, reference):
        with self.transaction() as connection:
            result = grants.grant(connection, self.license, credits_added, reference)
        period = self.running()
        if period is None:
            assert result is GrantResult.NO_RUNNING_PERIOD
        elif reference not in self.references:
            assert result is GrantResult.CREATED
            self.references[reference] = credits_added
            period.granted += credits_added
        elif self.references[reference] == credits_added:
            assert result is GrantResult.EXISTS
        else:
            assert result is GrantResult.EXISTS_WITH_DIFFERENT_AMOUNT

    @rule(target=jobs, subjects=SOME, unchanged=st.just(frozenset()) | SOME)
    def reserve(self, subjects, unchanged):
        job_id = f"{self.license}-{len(self.all_jobs)}"
        prices = {
            subject: 0 if self.is_free(subject, self.hour) else PRICES[subject]
            for subject in subjects
        }
        amount = sum(prices.values())
        with self.transaction() as connection:
            result = make_job(
                connection,
                job_id,
                amount,
                license_id=self.license,
                quoted_at=START + timedelta(hours=self.hour),
            )
        period = self.running()
        if period is None:
            assert result is ReserveResult.NO_RUNNING_PERIOD
            return multiple()
        if self.available(period) < amount:
            assert result is ReserveResult.INSUFFICIENT_CREDITS
            return multiple()
        assert result is ReserveResult.CREATED
        job = Job(job_id, period, self.hour, prices, unchanged)
        self.all_jobs.append(job)
        return job

    @rule(job=jobs, more=st.integers(0, 1))
    def reserve_again(self, job, more):
        with self.transaction() as connection:
            result = make_job(
                connection, job.id, job.amount + more, license_id=self.license
            )
        assert result is (
            ReserveResult.EXISTS_WITH_DIFFERENT_AMOUNT if more else ReserveResult.EXISTS
        )

    @rule(job=jobs, subjects=SOME, again=st.booleans())
    def settle(self, job, subjects, again):
        batch = sorted(subjects & job.prices.keys())
        claims = [
            f"{subject}={'unchanged' if subject in job.unchanged else price}"
            for subject, price in job.prices.items()
            if subject in batch
        ]
        before = job.settled
        if job.open:
            for subject in batch:
                self.deliver(job, subject)
        for expected in [job.settled - before] + [0] * again:
            try:
                with self.transaction() as connection:
                    assert settle(connection, job.id, *claims) == expected
            except Superseded:
                assert not job.open
            else:
                assert job.open

    def deliver(self, job: Job, subject: str) -> None:
        price = job.prices[subject]
        if subject in job.unchanged:
            job.noted.add(subject)
            return
        if subject not in job.lines:
            if price == 0:
                job.lines[subject] = Line(0, Rule.FREE_AS_QUOTED)
            elif self.is_free(subject, job.quoted):
                job.lines[subject] = Line(0, Rule.PAID_MEANWHILE)
            else:
                job.lines[subject] = Line(price, Rule.PRICE)
                self.paid[subject] = Paid(job.lines[subject], self.hour)
        if subject in self.paid:
            self.paid[subject].used = self.hour

    @rule(job=jobs)
    def close(self, job):
        with self.transaction() as connection:
            closed = end_job(connection, job.id)
        assert (closed is not None) == job.open
        if closed is None:
            return
        released = job.amount - job.settled
        assert (closed.settled, closed.released) == (job.settled, released)
        # What was sent for no record has its line at the end.
        for subject in job.noted:
            job.lines.setdefault(subject, Line(0, Rule.UNCHANGED))
        job.open = False
        job.period.spent += job.settled
        job.period.expired += released if job.period.ended else 0

    @precondition(lambda self: any(not job.open for job in self.all_jobs))
    @rule(job=jobs, pick=st.integers(0, len(ALL)))
    def refund(self, job, pick):
        subjects = [*job.lines, "email:nobody"]
        subject = subjects[min(pick, len(subjects) - 1)]
        with self.transaction() as connection:
            charge = charge_of(connection, job.id, subject)
            result = refund(connection, charge, "a property")
        line = job.lines.get(subject)
        if line is None:
            assert result is RefundResult.NOT_FOUND
        elif line.credits == 0:
            assert result is RefundResult.NOTHING_TO_REFUND
        elif job.open:
            assert result is RefundResult.RESERVATION_OPEN
        elif line.refunded:
            assert result is RefundResult.ALREADY_REFUNDED
        else:
            assert result is RefundResult.REFUNDED
            line.refunded = True
            job.period.spent -= line.credits
            job.period.expired += line.credits if job.period.ended else 0
            if self.paid[subject].line is line:
                del self.paid[subject]

    # -- What holds after each step ---------------------------------------------

    @invariant()
    def the_balance_is_the_models(self):
        with self.transaction() as connection:
            balance = balances.balance(connection, self.license)
        period = self.running()
        if period is None:
            assert balance is None
            return
        assert balance is not None
        settled = sum(job.settled for job in self.held(period))
        amount = sum(job.amount for job in self.held(period))
        assert (
            balance.granted,
            balance.reserved,
            balance.spent,
            balance.expired,
            balance.available,
        ) == (
            period.granted,
            amount - settled,
            period.spent + settled,
            period.expired,
            self.available(period),
        )

    @invariant()
    def no_job_costs_more_than_its_quote(self):
        with self.transaction() as connection:
            rows = connection.execute(
                text("""
                    SELECT job_id, amount, settled FROM reservations
                     WHERE license_id = :license_id AND settled <= amount"""),
                {"license_id": self.license},
            ).all()
        assert sorted(rows) == sorted(
            (job.id, job.amount, job.settled) for job in self.all_jobs
        )

    def teardown(self):
        """Compare all lines, and let the audit look at everything."""
        with self.database.transaction() as connection:
            assert audit.run(connection) == []
        with self.database.transaction() as connection:
            rows = connection.execute(
                text("""
                    SELECT job_id, item || ':' || subject, credits, rule FROM charges
                     WHERE license_id = :license_id"""),
                {"license_id": self.license},
            ).all()
        assert sorted(rows) == sorted(
            (job.id, subject, line.credits, line.rule)
            for job in self.all_jobs
            for subject, line in job.lines.items()
        )


def test_any_sequence_of_movements_comes_out_as_the_model_says(database):
    class OnThisDatabase(Ledger):
        pass

    OnThisDatabase.database = database
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=settings().max_examples // 5, stateful_step_count=50
        ),
    )
