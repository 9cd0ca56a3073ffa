"""How long an error pauses the provider that it came from."""

from worker.findings.providers.errors import (
    Misconfigured,
    OutOfCredits,
    ProviderError,
    RateLimited,
)
from worker.infrastructure.outbound_limits.pauses import (
    MISCONFIGURED,
    OUT_OF_CREDITS,
    RATE_LIMITED,
    Pause,
)

_RATE_LIMITED_S = 10.0
OUT_OF_CREDITS_S = 600.0
_MISCONFIGURED_S = 300.0


def pause_of(error: ProviderError) -> Pause | None:
    """The pause that an error asks for: as long as it says, or as its kind deserves."""
    for kind, reason, default_s in (
        (RateLimited, RATE_LIMITED, _RATE_LIMITED_S),
        (OutOfCredits, OUT_OF_CREDITS, OUT_OF_CREDITS_S),
        (Misconfigured, MISCONFIGURED, _MISCONFIGURED_S),
    ):
        if isinstance(error, kind):
            return Pause(reason, default_s if error.until_s is None else error.until_s)
    return None
