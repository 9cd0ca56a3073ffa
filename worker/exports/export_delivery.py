"""A batch of an export: what is delivered becomes rows of a part."""

from collections.abc import Sequence
from functools import partial

from pricing.findings import EmailStatus, Finding, FoundColumns, passes
from pricing.plans import Item
from pricing.settlement import Outcome, Result
from storage.exports import file_parts as kept_parts
from storage.jobs.chunks import Batch, Keep, TakenChunk, keep_nothing
from storage.jobs.outcomes import OutcomeColumns
from worker.exports import file_parts
from worker.exports.export_options import export_of
from worker.exports.file_layout import Layout, Refusal
from worker.exports.file_names import part_name
from worker.findings.batch_contents import Contents
from worker.infrastructure.dependencies import Deps
from worker.quotes import due_claims
from worker.quotes.priced_records import PricedRecords

_NOT_REPRESENTABLE = "value_not_representable"
"""The code of a record with a value that the file's format cannot hold."""

_REJECTED = Result(outcome=Outcome.REJECTED)
_SOME = "some"
"""Stands for any address or number: which one makes no difference."""


class ExportDelivery:
    """Delivers the batches of one run of a chunk into parts of a file."""

    receiver = "file"

    def __init__(self, deps: Deps, chunk: TakenChunk) -> None:
        self._deps = deps
        self._chunk = chunk
        self._export = export_of(chunk.export)
        self._layout = Layout(self._export, chunk.columns, chunk.retrieve)
        self.batch_records = deps.settings.batch_records

    def deliver(self, start: int, contents: Contents) -> Batch:
        """What became of the records of a batch."""
        records, found = contents.records, contents.found
        results = self._results(records, found)
        cells = self._layout.cells(records, found)
        refusals = self._layout.refusals(cells, _delivered(results))
        for place in refusals:
            results[place] = _REJECTED
        due = due_claims.due(records, results, found)
        return Batch(
            start=start,
            outcomes=_outcomes(records, results, refusals),
            claims=due.claims,
            unchanged=due.unchanged,
            keep=self._written_part(start, _rows(cells, _delivered(results))),
        )

    def _results(self, records: PricedRecords, found: FoundColumns) -> list[Result]:
        """How records end, decided once for all that have the same."""
        decided: dict[tuple[object, ...], Result] = {}
        results = []
        for key in zip(
            [bool(records.patterns[claims]) for claims in records.claims],
            [person_id is not None for person_id in records.person_ids],
            [email is not None for email in found.emails],
            found.email_statuses,
            [phone is not None for phone in found.phones],
            strict=True,
        ):
            result = decided.get(key)
            if result is None:
                result = decided[key] = self._result(*key)
            results.append(result)
        return results

    def _result(
        self,
        asks: bool,
        is_person: bool,
        has_email: bool,
        status: EmailStatus,
        has_phone: bool,
    ) -> Result:
        """How a record ends; what the file has no column for is found by nobody."""
        finding = Finding(
            _SOME if has_email else None, status, _SOME if has_phone else None
        )
        if not asks or (is_person and not passes(finding, self._chunk.only_with)):
            return Result(outcome=Outcome.EXCLUDED)
        return Result(
            outcome=Outcome.DELIVERED,
            email_found=has_email and Item.EMAIL in self._layout.held,
            phone_found=has_phone and Item.PHONE in self._layout.held,
        )

    def _written_part(self, start: int, rows: Sequence[Sequence[str]]) -> Keep:
        """Write a part of these rows; what records it."""
        if not rows:
            return keep_nothing
        name = part_name(self._chunk, start, file_parts.extension(self._export))
        data = file_parts.encoded(self._export, self._layout.headings, rows)
        part = file_parts.write(self._deps.artifacts, name, data)
        return partial(kept_parts.keep, part=part)


def _delivered(results: Sequence[Result]) -> list[int]:
    return [
        place
        for place, result in enumerate(results)
        if result.outcome is Outcome.DELIVERED
    ]


def _rows(
    cells: Sequence[Sequence[str]], places: Sequence[int]
) -> list[tuple[str, ...]]:
    """The rows at these places."""
    rows = list(zip(*cells, strict=True))
    return rows if len(places) == len(rows) else [rows[place] for place in places]


def _outcomes(
    records: PricedRecords, results: Sequence[Result], refusals: dict[int, Refusal]
) -> OutcomeColumns:
    return OutcomeColumns(
        records=records.numbers,
        company_ids=records.company_ids,
        person_ids=records.person_ids,
        outcomes=[result.outcome for result in results],
        email_found=[result.email_found for result in results],
        phone_found=[result.phone_found for result in results],
        codes=dict.fromkeys(refusals, _NOT_REPRESENTABLE),
        fields={place: refusal.field for place, refusal in refusals.items()},
        messages={place: refusal.message for place, refusal in refusals.items()},
    )
