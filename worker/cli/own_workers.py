"""Workers that a command starts for itself, and what they would refuse."""

from worker.findings.provider_names import check_limits
from worker.infrastructure.settings import Settings


def check_own_workers(settings: Settings) -> None:
    """Refuse what workers that are started here would refuse, before they are.

    Where no broker is named they have the home's own, which is a Redis.
    """
    if settings.broker_url:
        check_limits(settings)
