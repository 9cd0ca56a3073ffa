"""What is kept of who was found, beside what was charged for it."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from pricing.claims import KNOWN
from pricing.findings import EmailLevel, EmailStatus, Finding, accepted
from storage.finance.reconciliation import job_rows
from storage.finance.reconciliation.job_rows import ChargeRow, DirectoryRow, FindingRow
from storage.retention import erased_persons
from worker.finance.reconciliation.jobs.kept_records import KeptRecord

DIRECTORY = "directory"
_ASKED_AGAIN = timedelta(seconds=60)
"""An answer so much younger than its charge is another one."""


class Evidence(NamedTuple):
    """What is kept of the persons of some records."""

    erased: Collection[str]
    findings: dict[tuple[str, str, str, str], FindingRow]
    directory: dict[str, DirectoryRow]


def of_records(
    connection: Connection, license_id: str, records: Sequence[KeptRecord]
) -> Evidence:
    """What is kept of the persons of some records, and who of them was erased."""
    persons = {one.person_id for one in records if one.person_id}
    found = {
        one.person_id
        for one in records
        if one.person_id and (one.ending.email_found or one.ending.phone_found)
    }
    return Evidence(
        erased_persons.among(connection, license_id, persons) if persons else set(),
        {row[:4]: row for row in job_rows.findings_of(connection, found)},
        {row.person_id: row for row in job_rows.directory_of(connection, found)},
    )


class Judgement(NamedTuple):
    """What kept findings say of a line: it is `wrong`, or why that is `unknown`."""

    wrong: str | None = None
    unknown: str | None = None
    value: str | None = None


def judge(
    evidence: Evidence, line: ChargeRow, record: KeptRecord, level: EmailLevel
) -> Judgement:
    """Whether what a line is for was found, and may have been paid for."""
    if line.provider is None:
        return Judgement()
    person = record.person_id or ""
    if line.provider == DIRECTORY:
        return _by_directory(evidence.directory.get(person.strip()), line, level)
    key = (person, _looked_up_by(record), line.item, line.provider)
    row = evidence.findings.get(key)
    if row is None:
        return Judgement(unknown=f"the answer of {line.provider} is not kept any more")
    if row.found_at > line.charged_at + _ASKED_AGAIN:
        return Judgement(unknown=f"{line.provider} has answered again since")
    if not _may_be_paid(line.item, row.value, row.email_status, level):
        told = "nothing" if row.value is None else f"{row.email_status or 'a phone'}"
        return Judgement(wrong=f"{line.provider} found {told}")
    return Judgement(value=row.value)


def _looked_up_by(record: KeptRecord) -> str:
    """The digest under which a person's answers are kept: that of what was priced."""
    claims = record.claims or ()
    of_person = (claim.digest for claim in claims if claim.item.value != "company")
    return next(of_person, KNOWN)


def _by_directory(
    row: DirectoryRow | None, line: ChargeRow, level: EmailLevel
) -> Judgement:
    if row is None:
        return Judgement(unknown="the directory does not know the person any more")
    value = row.email if line.item == "email" else row.phone
    if not _may_be_paid(line.item, value, row.email_status, level):
        return Judgement(unknown="the directory says something else by now")
    return Judgement(value=value)


def _may_be_paid(
    item: str, value: str | None, status: str | None, level: EmailLevel
) -> bool:
    finding = Finding(
        email=value if item == "email" else None,
        email_status=EmailStatus(status) if status else EmailStatus.UNKNOWN,
        phone=value if item == "phone" else None,
    )
    left = accepted(finding, level, email=item == "email", phone=item == "phone")
    return left.email is not None or left.phone is not None
