"""The audit: whether the ledger's promises are kept, said loudly where not."""

import logging

from storage.ledger import audit as checks
from worker.infrastructure.dependencies import Deps

log = logging.getLogger(__name__)


def audit(deps: Deps) -> list[checks.Violation]:
    """Check the ledger's promises, and say loudly where one is broken."""
    with deps.database.transaction(patient=True) as connection:
        violations = checks.run(connection)
    for violation in violations:
        log.critical("audit: %s: %s", violation.check, violation.detail)
    return violations
