"""A new era: after a backup was restored, an operator says that credits move again.

Until then the database itself refuses to write money. What was written and not sealed
before the backup is sealed as it is, and whatever is written from now on is numbered
above all that ever was.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from storage.finance.chain import eras, runs
from storage.finance.chain.runs import DatabaseRestored, Run
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from storage.tables.column_types import ERA
from worker.finance.chain import pins
from worker.finance.chain.pins import Pin, PinBroken
from worker.finance.chain.sealer import seal_up_to
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused


class NewEra(NamedTuple):
    """The run that began an era, why one was needed, and the last pin before it."""

    run: Run
    why: str
    pinned: Pin | None

    @property
    def lost_runs(self) -> int:
        """Runs that were pinned, and that the backup does not have."""
        return max(0, self.pinned.run - self.run.n + 1) if self.pinned else 0


def start(deps: Deps, acting: Acting) -> NewEra:
    """Seal the rest, let the era rise, and let credits move again.

    Raises `Refused` where nothing was restored. Who writes money waits meanwhile.
    """
    pinned = pins.last(deps.settings)
    with deps.database.transaction(patient=True) as connection:
        eras.hold_still(connection)
        before, now = runs.last(connection), runs.moment(connection)
        why = _restored(connection, before, pinned)
        if before is None or why is None:
            raise Refused(
                Code.WRONG_STATE, "the database is the one that was sealed last"
            )
        era = max(before.era, pinned.era if pinned else 0) + 1
        # Nobody writes, whatever the server counts: all there is lies below.
        run = seal_up_to(deps, connection, before, now, era=era, end=era * ERA)
        eras.raise_to(connection, era)
        action_log.note(connection, acting, "new-era", Target("chain", str(era)))
    pins.pin(deps, run)
    return NewEra(run, why, pinned)


def _restored(
    connection: Connection, before: Run | None, pinned: Pin | None
) -> str | None:
    """What shows that a backup was restored; None where nothing does."""
    try:
        runs.check_same_server(before, runs.moment(connection))
        pins.check(connection, pinned)
    except (DatabaseRestored, PinBroken) as error:
        return str(error)
    return None
