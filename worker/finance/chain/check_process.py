"""The nightly look through the whole chain, as a process of its own.

One runs at a time over all dispatchers, by a lock in the database.
"""

from storage.finance.chain import verdicts
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.processes.own_process import OwnProcess

COMMAND = "chain-process"
"""What it is called at the command line."""

_TIMEOUT_S = 12 * 3600.0


class ChainCheckProcess(OwnProcess):
    """Starts the look when it is due; `turn` is short, and to be called often."""

    def __init__(self, deps: Deps) -> None:
        settings = deps.settings

        def is_due() -> bool:
            after_s = settings.chain_check_interval_s
            with deps.database.transaction() as connection:
                return verdicts.is_due(connection, after_s=after_s)

        super().__init__(
            settings,
            COMMAND,
            "look through the chain",
            interval_s=settings.chain_check_interval_s,
            timeout_s=_TIMEOUT_S,
            is_due=is_due,
        )
