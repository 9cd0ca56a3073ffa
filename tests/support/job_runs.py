"""Quotes, jobs and their work, in this process and against the real database."""

import io
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan
from storage.jobs import job_reports
from storage.ledger import balances
from storage.ledger.balances import Balance
from storage.quotes.quotes import Request, StoredQuote
from tests.support.business_time import shift_at
from worker.findings import directory_import
from worker.infrastructure.settings import Settings
from worker.jobs import chunk_runner, outbox_runner
from worker.licenses import licenses
from worker.quotes import quote_maker
from worker.quotes.readers.formats import CSV
from worker.wiring import Wired, wire

_ROUNDS_MAX = 100
"""More than any test needs: what fails for ever must not hang."""


def wire_to(
    database_url: str, home: Path, *, days: float = 0, pool: int = 5, **changed: Any
) -> Wired:
    """The use cases on a database, with business time so many days ahead.

    It is so for all that work on this database, until it is moved again.
    """
    wanted: dict[str, Any] = {
        "chunk_records": 2,
        "batch_records": 1,
        "retry_base_s": 0.001,
        # Whoever runs a chunk looks at what it has put into the outbox.
        "complete_at_once_records": 0,
        "artifacts_url": (home / "files").as_uri(),
    }
    if days:
        shift_at(database_url, days=days)
    return wire(
        Settings(home=home, database_url=database_url, **wanted | changed),
        pool=pool,
    )


@contextmanager
def little_room(bytes_max: int) -> Iterator[None]:
    """A disk that takes no file larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def create_license(
    deps: Wired,
    license_id: str = "acme",
    *,
    plan: Plan = Plan.V2,
    term: PaymentTerm = PaymentTerm.YEARLY,
    credits_granted: int = 500,
) -> None:
    """A license that starts now."""
    licenses.create_license(
        deps,
        licenses.NewLicense(
            id=license_id,
            name=license_id.title(),
            plan=plan,
            payment_term=term,
            credits=credits_granted,
        ),
    )


def know(deps: Wired, *persons: str) -> None:
    """Let the directory know a valid e-mail and a phone of these persons."""
    lines = [
        f'{{"person_id": "{person}", "email": "{person}@example.com",'
        f' "email_status": "valid", "phone": "+1 555 {place}"}}'.encode()
        for place, person in enumerate(persons)
    ]
    directory_import.load_directory(deps, lines)


def quote(
    deps: Wired,
    contacts: Sequence[str],
    *,
    license_id: str = "acme",
    retrieve: tuple[Item, ...] = (Item.EMAIL, Item.PHONE),
    export: Mapping[str, object] | None = None,
) -> StoredQuote:
    """A quote for contacts written as `company` or `company/person`."""
    rows = [contact.replace("/", ",") for contact in contacts]
    rows = [row if "," in row else f"{row}," for row in rows]
    csv = "\n".join(["company_id,person_id", *rows])
    return quote_maker.quote(
        deps,
        Request(
            kind="export",
            license_id=license_id,
            user_id="user-1",
            retrieve=retrieve,
            email_level=EmailLevel.VERIFIED,
            only_with=None,
            export=dict(export or {"format": "csv"}),
        ),
        CSV.read(io.BytesIO(csv.encode())),
    )


def run_chunks(deps: Wired, job_id: str) -> None:
    """Run all chunks of a job that wait, one after the other."""
    with deps.database.transaction() as connection:
        chunk_ids = connection.execute(
            text("""
                SELECT id FROM chunks
                 WHERE job_id = :job_id AND state = 'pending' ORDER BY id"""),
            {"job_id": job_id},
        ).scalars()
        waiting = list(chunk_ids)
    for chunk_id in waiting:
        chunk_runner.run_chunk(deps, chunk_id)


def complete(deps: Wired) -> None:
    """Run all that waits in the outbox, and what that puts there."""
    for _ in range(_ROUNDS_MAX):
        if not complete_once(deps):
            return
    raise AssertionError("the outbox does not come to rest")


def complete_once(deps: Wired) -> bool:
    """Run once what waits in the outbox; whether anything did."""
    with deps.database.transaction() as connection:
        query = text("SELECT id FROM outbox WHERE state = 'pending' ORDER BY id")
        waiting = list(connection.execute(query).scalars())
    for entry_id in waiting:
        outbox_runner.run_entry(deps, entry_id)
    return bool(waiting)


def run(deps: Wired, job_id: str) -> job_reports.JobReport:
    """Run a job to its end."""
    run_chunks(deps, job_id)
    complete(deps)
    return report(deps, job_id)


def report(deps: Wired, job_id: str) -> job_reports.JobReport:
    """How a job stands."""
    with deps.database.transaction() as connection:
        found = job_reports.job(connection, job_id)
    assert found is not None
    return found


def balance(deps: Wired, license_id: str = "acme") -> Balance:
    """The running period's credits."""
    with deps.database.transaction() as connection:
        found = balances.balance(connection, license_id)
    assert found is not None
    return found
