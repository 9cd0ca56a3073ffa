"""Balance alerts: which thresholds a license has, and telling of those passed."""

from collections.abc import Collection

from storage.finance.balances import balance_alerts
from storage.finance.balances.balance_alerts import Alert, AlertKind
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import bad
from worker.licenses.credit_amounts import CREDITS_MAX
from worker.licenses.licenses import open_license

ALERTS_MAX = 20
"""Thresholds of one license."""
_PERCENT_MAX = 100


def of_license(deps: Deps, license_id: str) -> list[Alert]:
    """The thresholds of a license. Raises `Refused` where there is none."""
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        return balance_alerts.of_license(connection, license_id)


def set_alerts(deps: Deps, license_id: str, alerts: Collection[Alert]) -> list[Alert]:
    """Let a license have these thresholds and no others; as they stand then."""
    for kind, threshold in alerts:
        least, most = 0, CREDITS_MAX
        if kind is AlertKind.USED_PERCENT:
            least, most = 1, _PERCENT_MAX
        if not least <= threshold <= most:
            raise bad(kind.value, f"must be {least} to {most}")
    if len(alerts) > ALERTS_MAX:
        raise bad(None, f"at most {ALERTS_MAX} thresholds")
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        balance_alerts.replace(connection, license_id, alerts)
        return balance_alerts.of_license(connection, license_id)


class BalanceWatch:
    """Tells of thresholds that were passed; `turn` is called now and then."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def turn(self) -> None:
        """Tell of what was passed since the last time."""
        with self._deps.database.transaction() as connection:
            balance_alerts.tell(connection)
