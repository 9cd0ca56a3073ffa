"""What many tests need to be there: a license, a job with its quote, claims."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from pricing.claims import KNOWN
from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan, Terms, terms_of
from pricing.quote import Quote
from storage.jobs import jobs
from storage.ledger import periods, release, reservations, settlement
from storage.ledger.claims import Claim
from storage.ledger.reservations import Reservation, ReserveResult
from storage.ledger.settlement import Payer
from storage.licenses import licenses
from storage.quotes import quotes
from storage.quotes.quotes import Slice
from storage.refunds import credit_notes
from storage.refunds.credit_notes import HOUSE, Wanted
from storage.refunds.refunds import RefundResult
from storage.state_machine import JobState

LIFETIME_S = 14 * 24 * 3600.0
USER = "user-1"


def make_license(
    connection: Connection,
    license_id: str = "acme",
    *,
    plan: Plan = Plan.V2,
    term: PaymentTerm = PaymentTerm.YEARLY,
    credits_granted: int = 500,
    starts_at: datetime | None = None,
) -> licenses.CreateResult:
    """A license with its running period, as the producer creates it."""
    result = licenses.create(
        connection,
        licenses.License(
            id=license_id,
            name=license_id.title(),
            plan=plan,
            payment_term=term,
            credits=credits_granted,
            features=frozenset(),
            starts_at=starts_at or licenses.business_now(connection),
        ),
        starts_at_given=starts_at is not None,
    )
    periods.open_current(connection, license_id)
    return result


def make_job(
    connection: Connection,
    job_id: str = "job-1",
    amount: int = 60,
    *,
    license_id: str = "acme",
    quoted_at: datetime | None = None,
    terms: Terms | None = None,
    kind: str = "push",
    chunks: Sequence[int] = (),
    low_share: float = 0,
) -> ReserveResult:
    """A reservation and, where it was created, its job, a chunk for each number.

    Without chunks the job has nothing to run and waits for its completion.
    """
    stored = _stored_quote(
        connection, license_id, job_id, amount, quoted_at, terms, kind, chunks
    )
    if quotes.get(connection, stored.id) is None:
        quotes.put(connection, stored)
    return jobs.create(
        connection,
        job_id,
        stored,
        name=None,
        lifetime_s=LIFETIME_S,
        low_share=low_share,
    )


def _stored_quote(
    connection: Connection,
    license_id: str,
    job_id: str,
    amount: int,
    quoted_at: datetime | None,
    terms: Terms | None,
    kind: str,
    chunks: Sequence[int],
) -> quotes.StoredQuote:
    license_ = licenses.get(connection, license_id)
    assert license_ is not None
    moment = quoted_at or licenses.business_now(connection)
    return quotes.StoredQuote(
        id=f"quote of {job_id}",
        expires_at=moment,
        request=quotes.Request(
            kind=kind,
            license_id=license_id,
            user_id=USER,
            retrieve=(),
            email_level=EmailLevel.VERIFIED,
            only_with=None,
            export=None,
        ),
        quote=Quote(
            terms=terms or terms_of(license_.plan, license_.payment_term),
            quoted_at=moment,
            max_credits=amount,
            lines=(),
            records=sum(chunks),
            companies=0,
            persons=0,
            duplicates=0,
            excluded=0,
            changed=(),
            available=amount,
            fits_records=sum(chunks),
        ),
        input=quotes.Input(
            name=f"inputs/{job_id}.jsonl",
            columns=("company_id",),
            slices=tuple(Slice(0, 1, records) for records in chunks),
        ),
    )


def payer_of(connection: Connection, job_id: str) -> Payer:
    """For whom the batches of a job settle, as its worker would know it."""
    reservation = reservations.reservation_of(connection, job_id)
    stored = quotes.get(connection, f"quote of {job_id}")
    assert reservation is not None
    assert stored is not None
    return Payer(
        license_id=reservation.license_id,
        period_id=reservation.period_id,
        reservation_id=reservation.id,
        job_id=job_id,
        user_id=USER,
        cut=stored.quote.terms.window_starts(stored.quote.quoted_at),
        views_count=stored.quote.terms.views_count,
    )


def settle(connection: Connection, job_id: str, *claims: str) -> int:
    """Settle a batch whose claims are written as `company:c1=1`."""
    payer = payer_of(connection, job_id)
    return settlement.settle(connection, payer, [claim(words) for words in claims])


def claim(words: str) -> Claim:
    """A claim from `company:c1=1`, `company:c1=unchanged` or `email:p1~digest=1`.

    `email:p1~/digest=1` is of a person whom the directory knows.
    """
    named, _, price = words.partition("=")
    item, _, subject = named.partition(":")
    subject, _, digests = subject.partition("~")
    digest, _, also = digests.partition("/")
    if price == "unchanged":
        return Claim(Item(item), subject, digest or KNOWN, 0, unchanged=True)
    return Claim(Item(item), subject, digest or KNOWN, int(price), also=also or None)


def end_job(
    connection: Connection, job_id: str, state: JobState = JobState.SUCCEEDED
) -> Reservation | None:
    """Close a job's reservation and end the job, as completion does."""
    closed = release.close(connection, job_id)
    jobs.end(connection, job_id, jobs.Finished(state=state))
    return closed


def charge_of(connection: Connection, job_id: str, words: str) -> int:
    """The id of the charge that a job has for `item:subject`, or 0."""
    item, _, subject = words.partition(":")
    found: int | None = connection.execute(
        text("""
            SELECT id FROM charges
             WHERE job_id = :job_id AND item = :item AND subject = :subject"""),
        {"job_id": job_id, "item": item, "subject": subject},
    ).scalar_one_or_none()
    return found or 0


def refund(connection: Connection, charge_id: int, reason: str) -> RefundResult:
    """Give one charge back by a credit note of the house; what became of it."""
    owner = connection.execute(
        text("SELECT license_id FROM charges WHERE id = :id"), {"id": charge_id}
    ).scalar_one_or_none()
    wanted = Wanted(license_id=owner or "", reason=reason, charge_ids=[charge_id])
    decision = credit_notes.decide(connection, wanted, HOUSE, approval_credits=None)
    if decision.refused:
        return decision.refused[0].why
    credit_notes.carry_out(connection, decision)
    return RefundResult.REFUNDED


def take_outcomes_apart(connection: Connection) -> None:
    """Keep what became of records one by one in `record_outcomes`, as before."""
    connection.execute(
        text("""
            CREATE TEMPORARY TABLE apart ON COMMIT DROP AS SELECT * FROM outcomes;
            TRUNCATE record_outcomes, outcome_batches, delivered_companies;
            INSERT INTO outcomes SELECT * FROM apart;
            DROP TABLE apart""")
    )
