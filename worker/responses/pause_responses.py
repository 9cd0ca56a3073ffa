"""What is paused, as clients see it."""

from storage.operations.scope_pauses import ScopePause
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_pause(scope: str, subject: str, pause: ScopePause | None) -> Answer:
    """Whether something is paused, and why."""
    return {
        "scope": str(scope),
        "subject": subject or None,
        "paused": pause is not None,
        "reason": pause and pause.reason,
        "paused_by": pause and pause.paused_by,
        "paused_at": instant(pause.paused_at) if pause else None,
    }
