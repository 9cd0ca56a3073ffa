"""Plays ledger scenarios: a step a line, `what is done -> what comes of it`.

license acme V2 monthly 500        a license; `starts in 5 days` may follow
open acme                          open the running period       -> running
grant acme 100 top-up-1            a top-up by its reference     -> created
reserve acme job-1 60              a job's reservation           -> created
reserve acme job-1 60 0.1          below this share it is low    -> created
settle job-1 company:c1=1          deliver claims at a price     -> 1
close job-1                        release what was not used     -> released 59
refund job-1 company:c1            give one charge back          -> refunded
view acme c1                       view a company               -> 1
days 31                            business time goes on
end                                end what is over              -> 1
balance acme                       the running period            -> granted 500 ...
period acme 1                      a period's own counters       -> granted 500 ...
charges job-1                      a job's lines                 -> company:c1 1 price
transfers acme                     all that was moved, by kind   -> grant 500, ...
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.plans import PaymentTerm, Plan, terms_of
from pricing.settlement import FreeBecause
from storage.database import Database
from storage.errors import Superseded
from storage.ledger import balances, company_views, grants, periods
from storage.ledger.company_views import View
from storage.licenses import licenses
from tests.support.business_time import shift_at
from tests.support.stored_jobs import (
    USER,
    charge_of,
    end_job,
    make_job,
    make_license,
    refund,
    settle,
)


class Step(NamedTuple):
    """One line of a scenario."""

    line: int
    verb: str
    arguments: list[str]
    expected: str


def parse(story: str) -> Iterator[Step]:
    """The steps of a scenario; comments and empty lines are left out."""
    for number, line in enumerate(story.splitlines(), start=1):
        done, _, expected = line.partition("#")[0].partition("->")
        if done.strip():
            verb, *arguments = done.split()
            # White space of an id is written out, for words are told apart by it.
            arguments = [each.replace("\\u3000", "\u3000") for each in arguments]
            yield Step(number, verb, arguments, " ".join(expected.split()))


class Scenario:
    """One ledger, and a business time that the steps move on."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._days = 0

    def play(self, step: Step) -> str:
        """Do one step; what came of it, in words."""
        if step.verb == "days":
            self._days += int(step.arguments[0])
            shift_at(self._url, days=self._days)
            return ""
        with self._transaction() as connection:
            return _VERBS[step.verb](connection, *step.arguments)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        database = Database(self._url, pool=1)
        try:
            with database.transaction() as connection:
                yield connection
        finally:
            database.close()


def _license(
    connection: Connection,
    license_id: str,
    plan: str,
    term: str,
    credits_granted: str,
    *starts: str,
) -> str:
    days = int(starts[2]) if starts else 0
    make_license(
        connection,
        license_id,
        plan=Plan(plan),
        term=PaymentTerm(term),
        credits_granted=int(credits_granted),
        starts_at=licenses.business_now(connection) + timedelta(days=days),
    )
    return ""


def _open(connection: Connection, license_id: str) -> str:
    is_running = periods.open_current(connection, license_id)
    return "running" if is_running else "not started"


def _grant(
    connection: Connection, license_id: str, credits_added: str, reference: str
) -> str:
    return grants.grant(connection, license_id, int(credits_added), reference)


def _reserve(
    connection: Connection,
    license_id: str,
    job_id: str,
    amount: str,
    low_share: str = "0",
) -> str:
    return make_job(
        connection,
        job_id,
        int(amount),
        license_id=license_id,
        low_share=float(low_share),
    )


def _settle(connection: Connection, job_id: str, *claims: str) -> str:
    # A failed batch takes nothing with it: a savepoint stands for its transaction.
    try:
        with connection.begin_nested():
            return str(settle(connection, job_id, *claims))
    except Superseded:
        return "superseded"


def _close(connection: Connection, job_id: str) -> str:
    closed = end_job(connection, job_id)
    return f"released {closed.released}" if closed else "closed before"


def _refund(connection: Connection, job_id: str, words: str) -> str:
    return refund(connection, charge_of(connection, job_id, words), "a test")


def _view(connection: Connection, license_id: str, company_id: str) -> str:
    license_ = licenses.get(connection, license_id)
    assert license_ is not None
    terms = terms_of(license_.plan, license_.payment_term)
    if not terms.views_count:
        return FreeBecause.PLAN
    booked = company_views.book(
        connection,
        View(
            id=f"view-{uuid.uuid4().hex}",
            license_id=license_id,
            user_id=USER,
            company_id=company_id,
            credits=terms.view,
            free_since=terms.window_starts(licenses.business_now(connection)),
        ),
    )
    assert booked is not None
    return booked.free_because or str(booked.credits)


def _end(connection: Connection) -> str:
    return str(periods.end(connection))


def _balance(connection: Connection, license_id: str) -> str:
    now = balances.balance(connection, license_id)
    if now is None:
        return "none"
    return (
        f"granted {now.granted} reserved {now.reserved} spent {now.spent}"
        f" expired {now.expired} available {now.available}"
    )


def _period(connection: Connection, license_id: str, number: str) -> str:
    row = connection.execute(
        text("""
            SELECT granted, reserved, spent, expired FROM periods
             WHERE license_id = :license_id ORDER BY starts_at
            OFFSET :before LIMIT 1"""),
        {"license_id": license_id, "before": int(number) - 1},
    ).one()
    return " ".join(f"{name} {value}" for name, value in row._mapping.items())


def _charges(connection: Connection, job_id: str) -> str:
    rows = connection.execute(
        text("""
            SELECT c.item, c.subject, c.credits, c.rule, payer.job_id
              FROM charges AS c LEFT JOIN charges AS payer ON payer.id = c.paid_by
             WHERE c.job_id = :job_id ORDER BY c.item, c.subject, c.digest"""),
        {"job_id": job_id},
    )
    charged = ", ".join(
        f"{item}:{subject} {credits_} {rule}" + (f" by {payer}" if payer else "")
        for item, subject, credits_, rule, payer in rows
    )
    return charged.replace("\u3000", "\\u3000")


def _transfers(connection: Connection, license_id: str) -> str:
    rows = connection.execute(
        text("""
            SELECT kind, sum(credits) FROM transfers
             WHERE license_id = :license_id GROUP BY kind
             ORDER BY array_position(ARRAY['grant', 'reserve', 'settle', 'release',
                                           'refund', 'expire'], kind)"""),
        {"license_id": license_id},
    )
    return ", ".join(f"{kind} {credits_}" for kind, credits_ in rows)


_VERBS: dict[str, Callable[..., str]] = {
    "license": _license,
    "open": _open,
    "grant": _grant,
    "reserve": _reserve,
    "settle": _settle,
    "close": _close,
    "refund": _refund,
    "view": _view,
    "end": _end,
    "balance": _balance,
    "period": _period,
    "charges": _charges,
    "transfers": _transfers,
}
