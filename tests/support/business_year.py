"""A year of business, by chance from a seed: what licenses do, day after day.

Jobs are worked on by real processes, which are killed now and then; business time is
moved from day to day for all of them.
"""

import csv
import io
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan
from storage.ledger import grants
from storage.licenses.licenses import Change
from storage.quotes.quotes import Request
from tests.support.business_time import DAY_S, shift_to
from tests.support.fleet import Fleet, kill, until
from tests.support.stored_jobs import refund
from worker.infrastructure.errors import Refused
from worker.jobs import job_control, submission
from worker.ledger import company_views
from worker.licenses import licenses
from worker.quotes import quote_maker
from worker.quotes.readers.formats import CSV

PERSONS = 400
"""So few that jobs overlap, within windows and beyond them."""
_COMPANIES = 120
_RETRIEVED = ((), (Item.EMAIL,), (Item.EMAIL, Item.PHONE))
_FORMATS = ("csv", "jsonl", "xlsx", "parquet")
_TERMS = (PaymentTerm.MONTHLY, PaymentTerm.YEARLY)
_WITHIN_S = 120.0


@dataclass
class BusinessYear:
    """Plays days on a fleet whose directory knows `PERSONS`; tells what was done."""

    fleet: Fleet
    seed: int
    jobs_a_day: int
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self.licenses = [f"{plan}-{term}".lower() for plan in Plan for term in _TERMS]
        self._workers = self.fleet.start("dispatcher", "worker", "worker")[1:]
        for plan in Plan:
            for term in _TERMS:
                licenses.create_license(
                    self.fleet.deps,
                    licenses.NewLicense(
                        id=f"{plan}-{term}".lower(),
                        name=f"{plan} {term}",
                        plan=plan,
                        payment_term=term,
                        credits=self._dice.choice((150, 600, 3_000)),
                    ),
                )

    def play(self, *, days: int, step: int) -> None:
        """Let so many days go by, in steps of some; all jobs end within theirs."""
        for day in range(0, days, step):
            shift_to(self.fleet.deps.database, day * DAY_S)
            self.end_periods()
            for _ in range(self.jobs_a_day):
                self._try("jobs", self._job)
            for do, often in self._beside().items():
                if self._dice.random() < often:
                    self._try(do.__name__.strip("_"), do)
            until(lambda: not self.fleet.scalar(_OPEN_JOBS), within_s=_WITHIN_S)
            if self._dice.random() < 0.5:
                self._try("refunds", self._refund)

    def end_periods(self) -> None:
        """Wait until the periods that are over have been ended."""
        until(lambda: not self.fleet.scalar(_UNENDED), within_s=_WITHIN_S)

    def _beside(self) -> dict[Callable[[], object], float]:
        """What else happens in a day, and how often."""
        return {
            self._kills: 0.2,
            self._views: 0.7,
            self._top_ups: 0.2,
            self._plan_changes: 0.1,
            self._cancels: 0.2,
        }

    def _try(self, name: str, do: Callable[[], object]) -> None:
        """Do something; what is refused has changed nothing."""
        with suppress(Refused):
            do()
            self.done[name] = self.done.get(name, 0) + 1

    def _license(self) -> str:
        return self._dice.choice(self.licenses)

    def _job(self) -> None:
        deps, size = self.fleet.deps, self._dice.choice((1, 3, 10, 90))
        picked = [self._dice.randrange(PERSONS) for _ in range(size)]
        rows = [
            [f"c{one % _COMPANIES}", "" if self._dice.random() < 0.1 else f"p{one}"]
            for one in picked
        ]
        data = io.StringIO()
        csv.writer(data).writerows([["company_id", "person_id"], *rows])
        request = Request(
            kind="export",
            license_id=self._license(),
            user_id=f"user-{self._dice.randrange(4)}",
            retrieve=self._dice.choice(_RETRIEVED),
            email_level=EmailLevel.VERIFIED,
            only_with=None,
            export={"format": self._dice.choice(_FORMATS)},
        )
        reading = CSV.read(io.BytesIO(data.getvalue().encode()))
        submission.submit(deps, quote_maker.quote(deps, request, reading).id)

    def _kills(self) -> None:
        place = self._dice.randrange(len(self._workers))
        kill(self._workers[place])
        (self._workers[place],) = self.fleet.start("worker")

    def _views(self) -> None:
        company = f"c{self._dice.randrange(_COMPANIES)}"
        company_views.view(self.fleet.deps, self._license(), "user-1", company)

    def _top_ups(self) -> None:
        license_, number = self._license(), self._dice.randrange(10**9)
        with self.fleet.deps.database.transaction() as connection:
            grants.grant(
                connection, license_, self._dice.randrange(1, 400), f"top-up {number}"
            )

    def _plan_changes(self) -> None:
        change = Change(
            plan=self._dice.choice(list(Plan)), payment_term=self._dice.choice(_TERMS)
        )
        licenses.change_license(self.fleet.deps, self._license(), change)

    def _cancels(self) -> None:
        for job_id in self._column(
            "SELECT id FROM jobs WHERE finished_at IS NULL LIMIT 1"
        ):
            job_control.cancel(self.fleet.deps, job_id)

    def _refund(self) -> None:
        charge_ids = self._column(
            "SELECT id FROM charges WHERE credits > 0 ORDER BY id DESC LIMIT 500"
        )
        for charge_id in self._dice.sample(charge_ids, min(3, len(charge_ids))):
            with self.fleet.deps.database.transaction() as connection:
                refund(connection, charge_id, "a year of tests")

    def _column(self, query: str) -> list[Any]:
        with self.fleet.deps.database.transaction() as connection:
            return list(connection.execute(text(query)).scalars())


_OPEN_JOBS = "SELECT count(*) FROM jobs WHERE finished_at IS NULL"
_UNENDED = """
SELECT count(*) FROM periods
 WHERE ended_at IS NULL AND ends_at <= holdfast_confirmed_now()
"""
