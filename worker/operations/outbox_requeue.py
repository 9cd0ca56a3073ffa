"""What failed and waits is due at once: completions, deliveries, dry runs."""

from storage.jobs import outbox
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from worker.infrastructure.dependencies import Deps


def requeue(deps: Deps, by: Acting | None = None, *, topic: str | None = None) -> int:
    """Let all that waits after a failure be tried at once; how much that is.

    Of one `topic` if asked. It is the house's: entries of all licenses.
    """
    with deps.database.transaction() as connection:
        moved = outbox.requeue(connection, topic)
        if moved and by is not None:
            target = Target("outbox", topic or "all")
            action_log.note(connection, by, "requeue", target, affected=moved)
    return moved
