"""The audit as clients are told of it."""

from collections.abc import Sequence

from storage.ledger.audit_verdicts import Standing, Verdict
from worker.infrastructure import clock
from worker.responses.response import Answer


def of_verdict(verdict: Verdict, violations: Sequence[Standing]) -> Answer:
    """How the ledger stands by the last audit."""
    return {
        "state": verdict.state,
        "audited_at": clock.instant(verdict.audited_at),
        "violations": [of_violation(violation) for violation in violations],
    }


def of_violation(violation: Standing) -> Answer:
    """A violation that stands, and what an operator has said of it."""
    said = violation.acknowledged
    return {
        "id": violation.id,
        "check": violation.check,
        "detail": violation.detail,
        "found_at": clock.instant(violation.found_at),
        "acknowledged": said
        and {
            "at": clock.instant(said.at),
            "by": said.by,
            "reason": said.reason,
            "refund": said.refunded,
        },
    }
