"""How many requests HubSpot takes: in a rolling window, in a day, and of searches."""

from collections import deque

from worker.infrastructure.clock import monotonic_s, wall_s
from worker.sandbox.hubspot.refusals import Refusal
from worker.sandbox.vendor_behaviour import Vendor

_LIMIT, _WINDOW_S, _DAILY = 190, 10.0, 650_000
_SEARCHES, _SEARCH_WINDOW_S = 5, 1.0
_TOO_MANY_REQUESTS = 429


class Limits:
    """What one account has been asked; `times` are those of all that were taken."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self.times: list[float] = []
        self.refused = 0
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()

    @property
    def limit(self) -> int:
        """Requests that a window takes."""
        given = self._vendor.behaviour.limit
        return _LIMIT if given is None else given

    @property
    def window_s(self) -> float:
        """How long a window is."""
        given = self._vendor.behaviour.window_s
        return _WINDOW_S if given is None else given

    def take(self, *, is_search: bool) -> None:
        """Count a request. Raises `Refusal` where it is one too many."""
        daily = self._vendor.behaviour.daily
        if len(self.times) >= (_DAILY if daily is None else daily):
            raise self.refusal("DAILY")
        if _within(self._recent, self.window_s) >= self.limit:
            raise self.refusal("TEN_SECONDLY_ROLLING")
        given = self._vendor.behaviour.searches
        searches = _SEARCHES if given is None else given
        if is_search and _within(self._searches, _SEARCH_WINDOW_S) >= searches:
            raise self.refusal("SECONDLY")
        self.times.append(wall_s())
        self._recent.append(monotonic_s())
        if is_search:
            self._searches.append(monotonic_s())

    def refusal(self, policy: str) -> Refusal:
        """Too many; it is counted as said."""
        self.refused += 1
        return Refusal(
            _TOO_MANY_REQUESTS,
            "RATE_LIMITS",
            f"You have reached your {policy.lower()} limit.",
            more={"errorType": "RATE_LIMIT", "policyName": policy},
        )

    def headers(self) -> dict[str, str]:
        """What every answer says of the window."""
        left = max(0, self.limit - _within(self._recent, self.window_s))
        return {
            "X-HubSpot-RateLimit-Max": str(self.limit),
            "X-HubSpot-RateLimit-Interval-Milliseconds": f"{self.window_s * 1_000:.0f}",
            "X-HubSpot-RateLimit-Remaining": str(left),
        }


def _within(times: deque[float], window_s: float) -> int:
    """How many there were in the window that ends now; older ones are forgotten."""
    oldest_s = monotonic_s() - window_s
    while times and times[0] <= oldest_s:
        times.popleft()
    return len(times)
