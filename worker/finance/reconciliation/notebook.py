"""The notebook of one step: what it found, and how many charges it looked at."""

from dataclasses import dataclass, field

from storage.finance.reconciliation.runs import Counts, Finding, FindingKind

_TEXT_MAX = 300
FINDINGS_MAX = 1_000
"""Differences that one job is told of; one more says that there are others."""


@dataclass(slots=True)
class Notebook:
    """Findings about one license, and maybe one of its jobs."""

    license_id: str
    job_id: str | None = None
    findings: list[Finding] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    _reasons: dict[tuple[str, str], int] = field(default_factory=dict)

    def differ(
        self,
        place: str,
        row_id: object,
        *,
        expected: object,
        found: object,
        record: int | None = None,
        charge: int | None = None,
        job: str | None = None,
    ) -> None:
        """Note that something is not what it should be."""
        if len(self.findings) > FINDINGS_MAX:
            return
        if len(self.findings) == FINDINGS_MAX:
            place, row_id, record, charge = "more", self.job_id or "", None, None
            expected, found = "no more differences", "more than are told here"
        self.findings.append(
            Finding(
                license_id=self.license_id,
                job_id=job or self.job_id,
                place=place,
                row_id=_short(row_id),
                expected=_short(expected),
                found=_short(found),
                record=record,
                charge_id=charge,
            )
        )

    def same(self, place: str, row_id: object, expected: object, found: object) -> bool:
        """Note a difference where there is one; whether there is none."""
        if expected != found:
            self.differ(place, row_id, expected=expected, found=found)
        return expected == found

    def cannot(self, place: str, why: str, *, charges: int = 1) -> None:
        """Note that charges cannot be computed again, and why."""
        self._reasons[place, why] = self._reasons.get((place, why), 0) + charges

    def close(self) -> list[Finding]:
        """All findings; what cannot be computed again is one for each reason."""
        return self.findings + [
            Finding(
                kind=FindingKind.NOT_RECOMPUTABLE,
                license_id=self.license_id,
                job_id=self.job_id,
                place=place,
                row_id=self.job_id or self.license_id,
                expected="kept",
                found=why,
                charges=charges,
            )
            for (place, why), charges in self._reasons.items()
        ]


def _short(value: object) -> str:
    words = str(value)
    return (
        words
        if len(words) <= _TEXT_MAX
        else f"{words[:_TEXT_MAX]}\N{HORIZONTAL ELLIPSIS}"
    )
