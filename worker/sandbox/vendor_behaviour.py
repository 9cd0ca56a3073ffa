"""How a vendor of the sandbox behaves, and what it remembers of its day."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """What goes wrong with a request."""

    RATE_LIMITED = "rate_limited"
    OUT_OF_CREDITS = "out_of_credits"
    SERVER_ERROR = "server_error"
    SLOW = "slow"
    GARBLED = "garbled"
    BLOCKED = "blocked"
    """A firewall answers before the vendor does: 403, and a page."""
    CUT = "cut"
    """The work is done, and paid for, and then the connection is cut."""
    NOT_YET = "not_yet"
    """A verification that is not done."""
    FEWER = "fewer"
    """The last of the results is missing."""
    SHUFFLED = "shuffled"
    """The results come in another order than they were asked for."""
    LOCKED = "locked"
    """Some rows of a batch are being written by somebody else."""
    REFUSED = "refused"
    """An endpoint takes a message, and says no."""
    DENIED = "denied"
    """Somebody does not consent."""
    INVALID_GRANT = "invalid_grant"
    """A refresh token is not taken."""
    BUSY = "busy"
    """Somebody else refreshes by the same token just now."""
    WEBHOOK_TWICE = "webhook_twice"
    WEBHOOK_NEVER = "webhook_never"


class Refusals(StrEnum):
    """What a CRM does with a batch in which it does not take some of the rows."""

    PARTIAL = "partial"
    """It writes the others, and names each that it has not."""
    WHOLE = "whole"
    """It writes none, and names the first that it does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Answers after `latency_ms`; `fault` happens to the next `times` requests.

    With `fault_on`, a pattern of a request's method, path and the beginning of its
    body, what disturbs any request happens only where that is found.
    `hit_rate` is the share of persons who have what is looked for; `finish_ms` is how
    long a deferred request takes, `slow_ms` how long a slow answer. Of CRMs: they take
    `limit` requests in `window_s` and `daily` in a day, the vendor's own numbers where
    none are said, and `searches` of them where those have a limit of their own; a
    search sees what is older than `lag_ms`; the access tokens that they grant from now
    on are good for `token_s`. Who consents now does so for the account of that number:
    an account's id is the vendor's first one and `account`.
    """

    latency_ms: float = 0
    hit_rate: float = 0.7
    fault: Fault | None = None
    times: int = 1
    fault_on: str | None = None
    finish_ms: float = 50
    slow_ms: float = 60_000
    limit: int | None = None
    window_s: float | None = None
    searches: int | None = None
    daily: int | None = None
    lag_ms: float = 0
    token_s: float = 1_800
    account: int = 0
    refusals: Refusals = Refusals.PARTIAL
    too_common: str = ""

    def is_too_common(self, search: str) -> bool:
        """Whether a search is refused for what it names."""
        return bool(self.too_common) and self.too_common in search


@dataclass(slots=True)
class Vendor:
    """One vendor as it stands: its behaviour, and its tally."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    """How often each person was asked about, by e-mail that would be found."""
    charged: Decimal = Decimal(0)
    faults_left: int = 0
    report: Callable[[], Mapping[str, Any]] = dict
    """What else it has to tell of itself."""

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on."""
        self.behaviour = behaviour
        self.faults_left = behaviour.times if behaviour.fault else 0

    def take_fault(self, *among: Fault) -> Fault | None:
        """The fault that is due now, if it is one of these; it counts as had."""
        fault = self.behaviour.fault
        if fault not in among or self.faults_left == 0:
            return None
        self.faults_left -= 1
        return fault
