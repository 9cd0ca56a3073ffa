"""What Pipedrive takes of one token: requests in a burst, and a day's budget."""

from worker.clock import monotonic_s, wall_s
from worker.sandbox.behaviour import Fault, Vendor
from worker.sandbox.pipedrive_account import Failed

_LIMIT, _WINDOW_S, _DAILY_TOKENS = 80, 2.0, 1_500_000


class Limits:
    """What one account has been asked; `times` are those of all that were taken."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self.times: list[float] = []
        self.refused = 0
        self.tokens = 0
        self._recent: list[float] = []

    @property
    def burst(self) -> tuple[int, float]:
        """Requests that a window takes, and how long it is."""
        how = self._vendor.behaviour
        limit = _LIMIT if how.limit is None else how.limit
        return limit, _WINDOW_S if how.window_s is None else how.window_s

    def take(self, tokens: int) -> int:
        """Count a request; how many are left in the window. Raises `Failed`."""
        limit, window_s = self.burst
        daily = self._vendor.behaviour.daily
        if self.tokens + tokens > (_DAILY_TOKENS if daily is None else daily):
            self.refused += 1
            words = "Daily token budget exhausted"
            raise Failed(429, words, x_daily_requests_left="0")
        self._recent = [at for at in self._recent if at > monotonic_s() - window_s]
        faulty = self._vendor.take_fault(Fault.RATE_LIMITED) is not None
        if faulty or len(self._recent) >= limit:
            self.refused += 1
            raise Failed(
                429, "Rate limit exceeded", x_ratelimit_reset=f"{window_s:.0f}"
            )
        self.tokens += tokens
        self._recent.append(monotonic_s())
        self.times.append(wall_s())
        return limit - len(self._recent)
