"""Reconciliations as clients are told of them."""

from collections.abc import Sequence

from storage.finance.reconciliation.runs import KeptFinding, Run, Shown
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_run(run: Run) -> Answer:
    """A reconciliation, without what it found."""
    return {
        "id": run.id,
        "period": run.period,
        "license": run.license_id,
        "nightly": run.nightly,
        "state": run.state,
        "periods": run.periods,
        "jobs": run.jobs,
        "charges": run.charges,
        "recomputed": run.recomputed,
        "not_recomputable": run.not_recomputable,
        "differences_total": run.differences,
        "error": run.error,
        "created_at": instant(run.created_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
    }


def of_shown(shown: Shown) -> Answer:
    """A reconciliation with what it found."""
    return of_run(shown.run) | {
        "differences": [_difference(one) for one in shown.differences],
        "reasons": _reasons(shown.reasons),
    }


def _difference(one: KeptFinding) -> Answer:
    return {
        "where": one.place,
        "id": one.row_id,
        "expected": one.expected,
        "found": one.found,
        "license": one.license_id,
        "job": one.job_id,
        "record": one.record,
        "charge": one.charge_id,
    }


def _reasons(found: Sequence[KeptFinding]) -> list[Answer]:
    return [
        {
            "license": one.license_id,
            "job": one.job_id,
            "what": one.place,
            "why": one.found,
            "charges": one.charges,
        }
        for one in found
    ]


def text_of(shown: Shown) -> str:
    """The same for a person at a terminal."""
    run = shown.run
    counts = (
        f"{run.periods:,} periods, {run.jobs:,} jobs, {run.charges:,} charges: "
        f"{run.recomputed:,} computed again, {run.not_recomputable:,} not"
    )
    lines = [counts, *map(_reason_text, shown.reasons)]
    lines += map(_difference_text, shown.differences)
    more = run.differences - len(shown.differences)
    if more > 0:
        lines.append(f"and {more:,} differences more")
    if run.error is not None:
        lines.append(f"it failed: {run.error}")
    elif not run.differences:
        lines.append("nothing differs")
    return "\n".join(lines)


def _reason_text(one: KeptFinding) -> str:
    of = one.job_id or one.license_id
    return f"not computed again: {one.charges:,} of {of}: {one.found} ({one.place})"


def _difference_text(one: KeptFinding) -> str:
    parts = (
        one.license_id,
        one.job_id,
        f"record {one.record}" if one.record else None,
        f"charge {one.charge_id}" if one.charge_id else None,
    )
    of = " ".join(filter(None, parts))
    where = f"{one.place} {one.row_id} of {of}"
    return f"{where}: expected {one.expected}, found {one.found}"
