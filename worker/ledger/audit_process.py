"""The audit as a process of its own, so that whoever starts it goes on meanwhile.

One runs at a time over all dispatchers, by a lock in the database.
"""

from storage.ledger import audit_verdicts
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.processes.own_process import OwnProcess

COMMAND = "audit-process"
"""What it is called at the command line."""


class AuditProcess(OwnProcess):
    """Starts the audit when it is due; `turn` is short, and to be called often."""

    def __init__(self, deps: Deps) -> None:
        settings = deps.settings

        def is_due() -> bool:
            after_s = settings.audit_interval_s
            with deps.database.transaction() as connection:
                return audit_verdicts.is_due(connection, after_s=after_s)

        super().__init__(
            settings,
            COMMAND,
            "audit",
            interval_s=settings.audit_interval_s,
            timeout_s=settings.audit_timeout_s,
            is_due=is_due,
        )
