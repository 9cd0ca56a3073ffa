"""One ended job, replayed record by record: its lines, and what each had to cost.

Of a million records a thousand are held at a time. What a line cost among the other
lines of its subject, `subject_replay` tells; here it is told by its own job.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from pricing.claims import KNOWN, PricedClaim
from pricing.findings import EmailLevel
from pricing.plans import Item, Terms
from storage.finance.reconciliation import job_rows
from storage.finance.reconciliation.job_rows import ChargeRow, JobRow
from worker.finance.reconciliation.jobs import found_evidence
from worker.finance.reconciliation.jobs.charge_marks import ChargeMarks
from worker.finance.reconciliation.jobs.due_lines import Due, due, wrong_line
from worker.finance.reconciliation.jobs.found_evidence import Evidence
from worker.finance.reconciliation.jobs.kept_records import Block, KeptRecord
from worker.finance.reconciliation.jobs.quoted_claims import QuotedClaims
from worker.finance.reconciliation.jobs.sealed_check import SealedCheck
from worker.finance.reconciliation.notebook import Notebook

_NO_CELLS: Mapping[str, str] = {}
_INPUT_GONE = "the job's records are not kept any more"
_ERASED = "the person was erased"

_SUMMED = (
    *("delivered", "excluded", "rejected", "email", "phone"),
    *("created", "updated", "unchanged"),
)

Lines = Mapping[tuple[str, str], Sequence[ChargeRow]]


class _Looked(NamedTuple):
    """What was looked up for a block of records."""

    lines: Lines
    evidence: Evidence


class _Claimed(NamedTuple):
    """A claim of a record; without a digest where nobody knows it any more."""

    item: str
    subject: str
    digest: str | None
    price: int | None


@dataclass(slots=True)
class _Counted:
    """What the records' ends sum to."""

    records: int = 0
    delivered: int = 0
    excluded: int = 0
    rejected: int = 0
    email: int = 0
    phone: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    left_out: int = 0


class JobReplay:
    """Takes the blocks of a job's records in their order; `end` says what is left."""

    def __init__(
        self, row: JobRow, terms: Terms, notes: Notebook, sealed: SealedCheck | None
    ) -> None:
        self._row = row
        self._terms = terms
        self._notes = notes
        self._sealed = sealed
        self._is_push = row.quote["kind"] == "push"
        self._level = EmailLevel(row.quote["email_level"])
        self._marked, self._sent = ChargeMarks(), ChargeMarks()
        self._said_unchanged: list[ChargeRow] = []
        self._quoted = QuotedClaims()
        self._has_unknown = False
        self._is_kept = True
        self._counted = _Counted()
        self.has_erased = False
        """Whether anybody in it was erased."""
        self._digest = hashlib.sha256()

    def look_up(self, connection: Connection, block: Block) -> _Looked:
        """What the database has of a block's records."""
        license_id, job_id = self._row.license_id, self._row.job_id
        asked = {
            (claim.item, claim.subject)
            for record in block.records
            if record.ending.outcome in ("delivered", "rejected")
            for claim in self._claims(record)
            if self._due(claim, record) is not Due.NOTHING
        }
        lines: dict[tuple[str, str], list[ChargeRow]] = defaultdict(list)
        for line in job_rows.charges_for(connection, job_id, asked):
            lines[line.item, line.subject].append(line)
        evidence = found_evidence.of_records(connection, license_id, block.records)
        return _Looked(lines, evidence)

    def take(self, block: Block, looked: _Looked) -> None:
        """Replay some records."""
        for stray in block.strays:
            self._notes.differ(
                "outcomes",
                self._row.job_id,
                expected="a record of the input",
                found=f"{stray.outcome}: {stray.company_id}, {stray.person_id}",
                record=stray.record,
            )
        for one in block.outcomes:
            told = (one.record, one.company_id, one.person_id, one.outcome)
            found = (one.email_found, one.phone_found, one.change, one.code)
            self._digest.update(repr((*told, *found)).encode())
        for record in block.records:
            self._take(record, looked)

    def _take(self, record: KeptRecord, looked: _Looked) -> None:
        counted, ending = self._counted, record.ending
        counted.records += 1
        if ending.outcome in ("delivered", "excluded", "rejected"):
            setattr(counted, ending.outcome, getattr(counted, ending.outcome) + 1)
        if ending.change is not None:
            setattr(counted, ending.change, getattr(counted, ending.change) + 1)
        counted.left_out += record.claims is not None and not record.claims
        counted.email += ending.email_found
        counted.phone += ending.phone_found
        cells = _NO_CELLS
        if self._sealed is not None and ending.outcome == "delivered":
            cells = self._sealed.delivered(record)
        self._is_kept = self._is_kept and record.claims is not None
        self._check_asked(record)
        is_erased = record.person_id in looked.evidence.erased
        self.has_erased |= is_erased
        for claim in self._claims(record):
            if claim.price is not None:
                self._has_unknown |= is_erased and claim.item != "company"
                self._quoted.add(
                    claim.item, claim.subject, claim.digest or "", claim.price
                )
            what = self._due(claim, record)
            if what is not Due.NOTHING:
                self._settled(record, claim, what, looked, cells, is_erased=is_erased)

    def _check_asked(self, record: KeptRecord) -> None:
        """A record asks for its company, and of its person all that is retrieved."""
        if not record.claims:
            return
        asked = [claim.item.value for claim in record.claims]
        wanted = ["company"]
        if record.person_id is not None:
            wanted += self._row.quote["retrieve"]
        if sorted(asked) != sorted(wanted):
            self._notes.differ(
                "quotes.retrieve",
                self._row.job_id,
                expected=", ".join(asked),
                found=", ".join(wanted),
                record=record.number,
            )

    def _claims(self, record: KeptRecord) -> list[_Claimed]:
        company, person = record.company_id, record.person_id
        if record.claims is None:
            claims = [_Claimed("company", company, KNOWN, None)]
            if person is not None:
                items = self._row.quote["retrieve"]
                claims += [_Claimed(item, person, None, None) for item in items]
            return claims
        return [_claimed(claim, company, person) for claim in record.claims]

    def _due(self, claim: _Claimed, record: KeptRecord) -> Due:
        return due(
            claim.item,
            record.ending,
            is_push=self._is_push,
            has_person=record.person_id is not None,
        )

    def _settled(
        self,
        record: KeptRecord,
        claim: _Claimed,
        what: Due,
        looked: _Looked,
        cells: Mapping[str, str],
        *,
        is_erased: bool,
    ) -> None:
        """Hold a claim that is due against its line."""
        lines = looked.lines.get((claim.item, claim.subject), ())
        is_unknown = claim.digest is None or (is_erased and claim.item != "company")
        line = _line_of(lines, None if is_unknown else claim.digest)
        if line is None:
            # A person under both digests may have been settled under one by then.
            if what is not Due.MAYBE and not _decided_by_id(lines, claim):
                self._notes.differ(
                    "charges",
                    f"{claim.item} {claim.subject}",
                    expected="a line",
                    found="none" if not lines else "one of another digest",
                    record=record.number,
                )
            return
        self._judge(record, claim.price, what, line)
        if self._marked.add(line.id):
            self._count(
                self._why_unknown(record, line, looked.evidence, cells, is_unknown),
                line,
            )

    def _judge(
        self, record: KeptRecord, price: int | None, what: Due, line: ChargeRow
    ) -> None:
        if what is Due.SENT or what is Due.SENT_OR_UNCHANGED:
            self._sent.add(line.id)
        elif what is Due.UNCHANGED and line.rule != "unchanged":
            self._said_unchanged.append(line)
        unit = self._terms.unit(Item(line.item))
        right = wrong_line(price, unit, what, rule=line.rule, credits_=line.credits)
        if right is not None:
            self._notes.differ(
                "charges",
                line.id,
                expected=right,
                found=f"{line.rule}, {line.credits} credits",
                record=record.number,
                charge=line.id,
            )

    def _count(self, why: str | None, line: ChargeRow) -> None:
        self._notes.counts.charges += 1
        if why is None:
            self._notes.counts.recomputed += 1
        else:
            self._notes.counts.not_recomputable += 1
            self._notes.cannot(line.item, why)

    def _why_unknown(
        self,
        record: KeptRecord,
        line: ChargeRow,
        evidence: Evidence,
        cells: Mapping[str, str],
        is_unknown: bool,
    ) -> str | None:
        """Why a line cannot be computed again; notes where what was found is wrong."""
        if record.claims is None:
            return _INPUT_GONE
        if is_unknown:
            return _ERASED
        if line.item == "company":
            return None
        judged = found_evidence.judge(evidence, line, record, self._level)
        cell = cells.get(line.item)
        if judged.value and cell and cell not in (judged.value, f"'{judged.value}"):
            if line.provider == found_evidence.DIRECTORY:
                return "the directory says something else by now"
            judged = judged._replace(wrong="another value than the file has")
        if judged.wrong is not None:
            self._notes.differ(
                "findings",
                f"{line.item} {line.subject}",
                expected=judged.wrong,
                found=f"{line.rule}, {line.credits} credits",
                record=record.number,
                charge=line.id,
            )
        return judged.unknown

    def end(self, connection: Connection) -> str:
        """Note what no record is behind; a digest of how the records ended."""
        row, counted, notes = self._row, self._counted, self._notes
        for name in _SUMMED:
            right, found = getattr(counted, name), row.chunked[name]
            notes.same(f"chunks.{name}", row.job_id, right, found)
        if self._is_kept:
            notes.same(
                "quotes.records", row.job_id, counted.records, row.quote["records"]
            )
            notes.same(
                "quotes.excluded", row.job_id, counted.left_out, row.quote["excluded"]
            )
            if not self._has_unknown:
                self._quoted.check(row.quote, self._terms, notes)
        for line in self._said_unchanged:
            if line.id not in self._sent:
                notes.differ(
                    "charges",
                    line.id,
                    expected="unchanged, 0 credits",
                    found=f"{line.rule}, {line.credits} credits",
                    charge=line.id,
                )
        if len(self._marked) != row.charged["count"]:
            self._note_surplus(connection)
        if self._sealed is not None:
            self._sealed.end()
        return self._digest.hexdigest()

    def _note_surplus(self, connection: Connection) -> None:
        after = 0
        while page := job_rows.charges_of(
            connection, self._row.job_id, after=after, limit=1_000
        ):
            after = page[-1].id
            for line in page:
                if line.id not in self._marked:
                    self._notes.counts.charges += 1
                    self._notes.differ(
                        "charges",
                        line.id,
                        expected="no line: nothing of it was delivered",
                        found=f"{line.item} {line.subject}, {line.credits} credits",
                        charge=line.id,
                    )


def _claimed(claim: PricedClaim, company: str, person: str | None) -> _Claimed:
    item = claim.item.value
    subject = company if item == "company" or person is None else person
    return _Claimed(item, subject, claim.digest, claim.credits)


def _line_of(lines: Sequence[ChargeRow], digest: str | None) -> ChargeRow | None:
    """The line of a digest; any, where nobody knows it any more."""
    if digest is None:
        return lines[0] if lines else None
    return next((line for line in lines if line.digest == digest), None)


def _decided_by_id(lines: Sequence[ChargeRow], claim: _Claimed) -> bool:
    return claim.digest != KNOWN and any(line.digest == KNOWN for line in lines)
