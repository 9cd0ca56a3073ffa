"""Frozen statements in a list, as clients see them."""

from storage.finance.statements.statement_runs import RunRow
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_run(row: RunRow) -> Answer:
    """A frozen run, without its lines."""
    return {
        "period": {
            "starts_at": instant(row.starts_at),
            "ends_at": instant(row.ends_at),
        },
        "run": row.run,
        "closing": row.closing._asdict(),
        "head": row.head,
        "sha256": row.sha256,
        "frozen_at": instant(row.frozen_at),
    }
