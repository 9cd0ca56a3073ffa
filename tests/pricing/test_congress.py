"""The sample data, through the reader and the rules alone: every credit is known."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from io import BytesIO

import pytest

from pricing.claims import KNOWN, Asked, Entitlement, Entitlements, PricedClaim
from pricing.findings import EmailLevel, EmailStatus, Finding, accepted
from pricing.plans import Item, PaymentTerm, Plan, terms_of
from pricing.quote import Quote, Tally
from pricing.settlement import Outcome, Result, due_claims
from tests.support.priced import price
from tests.support.read_rows import rows_of
from worker.quotes.readers.formats import CSV
from worker.quotes.readers.records import Record

NOON = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
RETRIEVE = (Item.EMAIL, Item.PHONE)
SAMPLE = files("worker.sample")

Subject = tuple[Item, str, str]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    stream = BytesIO((SAMPLE / "congress.csv").read_bytes())
    rows = rows_of(CSV.read(stream))
    return [row for row in rows if isinstance(row, Record)]


@pytest.fixture(scope="module")
def directory() -> dict[str, Finding]:
    lines = (SAMPLE / "congress-directory.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return {
        entry["person_id"]: Finding(
            email=entry.get("email"),
            email_status=EmailStatus(entry.get("email_status", "unknown")),
            phone=entry.get("phone"),
        )
        for entry in entries
    }


def _quote(
    records: list[Record],
    directory: Mapping[str, Finding],
    paid: Entitlements,
    at: datetime,
) -> tuple[Quote, list[tuple[Asked, tuple[PricedClaim, ...]]]]:
    tally = Tally(
        terms=terms_of(Plan.V2, PaymentTerm.MONTHLY),
        quoted_at=at,
        retrieve=RETRIEVE,
        available=2000,
    )
    priced = []
    for record in records:
        assert record.person_id in directory
        asked = Asked(record.company_id, record.person_id, KNOWN)
        priced.append((asked, price(tally, record.number, asked, KNOWN, paid)))
    return tally.quote(), priced


def _settle(
    priced: list[tuple[Asked, tuple[PricedClaim, ...]]],
    directory: Mapping[str, Finding],
) -> dict[Subject, int]:
    """The charges of a job that delivers everybody, by subject."""
    charges: dict[Subject, int] = {}
    for asked, claims in priced:
        assert asked.person_id is not None
        found = accepted(
            directory[asked.person_id], EmailLevel.VERIFIED, email=True, phone=True
        )
        result = Result(
            outcome=Outcome.DELIVERED,
            email_found=found.email is not None,
            phone_found=found.phone is not None,
        )
        for due in due_claims(claims, result):
            subject = (due.item, asked.subject(due.item), due.digest)
            charges.setdefault(subject, due.credits)
    return charges


def _entitlements(charges: Mapping[Subject, int], at: datetime) -> Entitlements:
    return {
        (item, subject): [Entitlement(digest, at, None)]
        for item, subject, digest in charges
    }


def test_the_sample_holds_537_members_of_106_delegations(records, directory):
    assert [record.number for record in records] == list(range(1, 538))
    assert len({record.company_id for record in records}) == 106
    assert len({record.person_id for record in records}) == 537
    assert sum(1 for finding in directory.values() if finding.phone) == 536


def test_congress_quotes_at_1717_and_settles_at_1178(records, directory):
    quote, priced = _quote(records, directory, {}, NOON)
    assert [(line.item, line.count, line.credits) for line in quote.lines] == [
        (Item.COMPANY, 106, 106),
        (Item.EMAIL, 537, 537),
        (Item.PHONE, 537, 1074),
    ]
    assert quote.max_credits == 1717
    charges = _settle(priced, directory)
    assert sum(charges.values()) == 106 + 536 * 2 == 1178
    assert len(charges) == 106 + 536


def test_congress_again_quotes_at_539_and_settles_at_nothing(records, directory):
    _, priced = _quote(records, directory, {}, NOON)
    paid = _entitlements(_settle(priced, directory), NOON)
    again, priced = _quote(records, directory, paid, NOON + timedelta(days=30))
    # 537 addresses that nobody has, and the one phone that was not found.
    assert again.max_credits == 537 + 2 == 539
    assert sum(_settle(priced, directory).values()) == 0


def test_congress_costs_its_whole_quote_again_after_the_window(records, directory):
    _, priced = _quote(records, directory, {}, NOON)
    paid = _entitlements(_settle(priced, directory), NOON)
    later = NOON + timedelta(days=30, seconds=1)
    assert _quote(records, directory, paid, later)[0].max_credits == 1717
