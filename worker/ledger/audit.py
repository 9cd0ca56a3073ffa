"""The audit: whether the ledger's promises are kept, said loudly where not."""

import logging

from sqlalchemy import Connection

from storage.ledger import audit as checks
from storage.ledger import audit_verdicts
from storage.ledger.audit_verdicts import Standing, Verdict
from storage.operations.action_log import Acting
from storage.refunds import credit_note_reports
from storage.refunds.credit_notes import NoteState
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.infrastructure.settings import Settings
from worker.refunds import credit_notes
from worker.refunds.credit_notes import Asked

log = logging.getLogger(__name__)

_LATE_AFTER_INTERVALS = 2
_WORDS_MAX = 1_000


def audit(deps: Deps, *, wait: bool = True) -> list[Standing]:
    """Check the ledger's promises and keep the verdict; the violations, as they stand.

    Says loudly where one is broken that nobody has acknowledged. Raises `AuditRunning`
    where another audit runs, with `wait` after half a minute.
    """
    settings = deps.settings
    with deps.database.transaction(patient=True) as connection:
        audit_verdicts.take_turn(connection, wait=wait)
        audit_verdicts.end_with_client(connection, timeout_s=settings.audit_timeout_s)
        known = audit_verdicts.acknowledged(connection)
        found = checks.find(connection, known=known)
        standing = audit_verdicts.record(connection, found)
    for violation in unheard(standing):
        log.critical("audit: %s: %s", violation.check, violation.detail)
    return standing


def unheard(standing: list[Standing]) -> list[Standing]:
    """Those that no operator has acknowledged."""
    return [violation for violation in standing if violation.acknowledged is None]


def late_after_s(settings: Settings) -> float:
    """How long after the last audit's end another one should have ended."""
    return settings.audit_interval_s * _LATE_AFTER_INTERVALS + settings.audit_timeout_s


def stand(deps: Deps) -> tuple[Verdict, list[Standing]]:
    """The last verdict, and all violations that stand."""
    late_s = late_after_s(deps.settings)
    with deps.database.transaction() as connection:
        verdict = audit_verdicts.verdict(connection, late_after_s=late_s)
        return verdict, audit_verdicts.violations(connection)


def acknowledge(
    deps: Deps,
    violation_id: int,
    *,
    by: str,
    reason: str,
    acting: Acting,
    refund: int | None = None,
) -> Standing:
    """Let a violation that stands sound no more, for a reason that is kept.

    `refund` is a charge that is given back in the same transaction by whoever is
    `acting`, who must need no second person for that. Raises `BadInput`,
    and `Refused` where it does not stand, was acknowledged, or the charge cannot be
    refunded; then nothing has changed.
    """
    for field, words in (("by", by), ("reason", reason)):
        if not words.strip() or len(words) > _WORDS_MAX or "\0" in words:
            raise bad(field, f"must be 1 to {_WORDS_MAX} characters")
    with deps.database.transaction() as connection:
        violation = audit_verdicts.lock(connection, violation_id)
        if violation is None:
            message = f"no violation {violation_id} stands"
            raise Refused(Code.NOT_FOUND, message)
        if violation.acknowledged is not None:
            message = f"violation {violation_id} was acknowledged before"
            raise Refused(Code.WRONG_STATE, message)
        if refund is not None:
            why = f"audit, violation {violation_id}: {reason}"
            _refund(deps, connection, refund, why, acting)
        audit_verdicts.acknowledge(
            connection, violation_id, by=by, reason=reason, refunded=refund
        )
        acknowledged = audit_verdicts.lock(connection, violation_id)
    if acknowledged is None:
        raise LookupError(violation_id)
    return acknowledged


def _refund(
    deps: Deps, connection: Connection, charge_id: int, reason: str, acting: Acting
) -> None:
    note_id = credit_notes.make_in(deps, connection, Asked([charge_id]), reason, acting)
    note = credit_note_reports.get(connection, note_id)
    if note is None or note.state is not NoteState.BOOKED:
        raise Refused(
            Code.WRONG_STATE,
            f"the refund of charge {charge_id} needs a second person: refund it first",
        )
