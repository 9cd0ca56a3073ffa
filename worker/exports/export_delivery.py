"""A batch of an export: what is delivered becomes rows of a part."""

from collections.abc import Sequence
from functools import partial

from pricing.findings import Finding, passes
from pricing.plans import Item
from pricing.settlement import Outcome, Result
from storage.exports import file_parts as kept_parts
from storage.jobs.chunks import Batch, Keep, TakenChunk, keep_nothing
from storage.jobs.outcomes import RecordOutcome
from storage.ledger.settlement import Claim
from worker.exports import file_parts
from worker.exports.export_options import export_of
from worker.exports.file_layout import Layout, Refusal
from worker.exports.file_names import part_name
from worker.findings.batch_contents import Contents
from worker.infrastructure.dependencies import Deps
from worker.quotes import due_claims
from worker.quotes.priced_records import PricedRecord
from worker.quotes.readers.records import Record

_NOT_REPRESENTABLE = "value_not_representable"
"""The code of a record with a value that the file's format cannot hold."""


class ExportDelivery:
    """Delivers the batches of one run of a chunk into parts of a file."""

    def __init__(self, deps: Deps, chunk: TakenChunk) -> None:
        self._deps = deps
        self._chunk = chunk
        self.batch_records = deps.settings.batch_records

    def deliver(self, start: int, contents: Contents) -> Batch:
        """What became of the records of a batch."""
        chunk = self._chunk
        layout = Layout(export_of(chunk.export), chunk.columns, chunk.retrieve)
        outcomes: list[RecordOutcome] = []
        claims: list[Claim] = []
        rows: list[Sequence[str]] = []
        for priced in contents.records:
            record = priced.record
            finding = contents.finding(priced)
            result = _result(chunk, layout, priced, finding)
            refusal = None
            if result.outcome is Outcome.DELIVERED:
                row = layout.row(record, finding)
                refusal = layout.refusal(row)
                if refusal is None:
                    rows.append(row)
                else:
                    result = Result(outcome=Outcome.REJECTED)
            outcomes.append(_outcome(record, result, refusal))
            claims.extend(due_claims.claims_of(priced, result, finding))
        return Batch(
            start=start,
            outcomes=tuple(outcomes),
            claims=tuple(claims),
            keep=self._written_part(part_name(chunk, start), rows),
        )

    def _written_part(self, name: str, rows: Sequence[Sequence[str]]) -> Keep:
        """Write a part of these rows; what records it."""
        if not rows:
            return keep_nothing
        part = file_parts.write(self._deps.artifacts, name, rows)
        return partial(kept_parts.keep, part=part)


def _result(
    chunk: TakenChunk, layout: Layout, priced: PricedRecord, finding: Finding
) -> Result:
    """How a record ends; what the file has no column for is found by nobody."""
    is_person = priced.record.person_id is not None
    if priced.is_left_out or (is_person and not passes(finding, chunk.only_with)):
        return Result(outcome=Outcome.EXCLUDED)
    return Result(
        outcome=Outcome.DELIVERED,
        email_found=finding.email is not None and Item.EMAIL in layout.held,
        phone_found=finding.phone is not None and Item.PHONE in layout.held,
    )


def _outcome(record: Record, result: Result, refusal: Refusal | None) -> RecordOutcome:
    return RecordOutcome(
        record=record.number,
        company_id=record.company_id,
        person_id=record.person_id,
        outcome=result.outcome,
        email_found=result.email_found,
        phone_found=result.phone_found,
        code=_NOT_REPRESENTABLE if refusal else None,
        field=refusal.field if refusal else None,
        message=refusal.message if refusal else None,
    )
