"""What Pipedrive takes of one token: requests in a burst, and a day's budget.

Searches have a burst of their own besides, and a penalty: who has asked too many is
answered none for five windows.
"""

from collections import deque
from math import inf

from worker.infrastructure.clock import monotonic_s, wall_s
from worker.sandbox.pipedrive.account import Failed
from worker.sandbox.vendor_behaviour import Fault, Vendor

_LIMIT, _WINDOW_S, _DAILY_TOKENS = 80, 2.0, 1_500_000
_SEARCHES, _PENALTY_WINDOWS = 10, 5
_TOO_MANY = 429


class Limits:
    """What one account has been asked; `times` are those of all that were taken."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self.times: list[float] = []
        self.refused = 0
        self.tokens = 0
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._too_many_at_s = -inf

    @property
    def _limit(self) -> int:
        given = self._vendor.behaviour.limit
        return _LIMIT if given is None else given

    @property
    def _searches_max(self) -> int:
        given = self._vendor.behaviour.searches
        return _SEARCHES if given is None else given

    @property
    def _window_s(self) -> float:
        given = self._vendor.behaviour.window_s
        return _WINDOW_S if given is None else given

    @property
    def _daily(self) -> int:
        given = self._vendor.behaviour.daily
        return _DAILY_TOKENS if given is None else given

    def take(self, tokens: int, *, is_search: bool) -> None:
        """Count a request. Raises `Failed` where it is one too many."""
        self._drop_old()
        if self.tokens + tokens > self._daily:
            raise self._failed()
        faulty = self._vendor.take_fault(Fault.RATE_LIMITED) is not None
        if faulty or len(self._recent) >= self._limit:
            raise self._failed()
        if is_search:
            self._take_search()
        self.tokens += tokens
        self._recent.append(monotonic_s())
        self.times.append(wall_s())

    def _take_search(self) -> None:
        now_s = monotonic_s()
        if len(self._searches) >= self._searches_max:
            self._too_many_at_s = now_s
        penalty_s = self._window_s * _PENALTY_WINDOWS
        if now_s < self._too_many_at_s + penalty_s:
            failed = self._failed()
            failed.headers["x-ratelimit-reset"] = f"{penalty_s:.0f}"
            failed.headers["retry-after"] = f"{penalty_s:.0f}"
            raise failed
        self._searches.append(now_s)

    def headers(self, *, is_search: bool) -> dict[str, str]:
        """What an answer says of the limits; all of it as of now."""
        self._drop_old()
        limit, used = self._limit, len(self._recent)
        if is_search:
            limit, used = self._searches_max, len(self._searches)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - used)),
            "x-ratelimit-reset": f"{self._window_s:.0f}",
            "x-daily-ratelimit-token-limit": str(self._daily),
            "x-daily-ratelimit-token-remaining": str(max(0, self._daily - self.tokens)),
        }

    def _failed(self) -> Failed:
        """The same words whatever is used up: the headers tell which it is."""
        self.refused += 1
        return Failed(_TOO_MANY, "Rate limit exceeded")

    def _drop_old(self) -> None:
        oldest_s = monotonic_s() - self._window_s
        for times in (self._recent, self._searches):
            while times and times[0] <= oldest_s:
                times.popleft()
