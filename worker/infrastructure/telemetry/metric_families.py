"""What processes count: each family with its labels, declared once.

Labels have few values: a kind, a code, a connector; never a license, a job or a
connection, for each value is a series that is kept for good.
"""

from itertools import product
from typing import NamedTuple


class Family(NamedTuple):
    """A counter, or a histogram of seconds where it has `buckets_s`.

    The labels' values that are `known` are shown from the start: where a series begins
    Prometheus sees no growth.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    buckets_s: tuple[float, ...] = ()


_KINDS = ("export", "push")
_BY_KIND = tuple((kind,) for kind in _KINDS)
_HELD = (("chunk",), ("entry",))
"""What is held under a lease."""

RECORDS = Family(
    "records",
    "Records that workers have dealt with.",
    ("kind", "result"),
    tuple(product(_KINDS, ("delivered", "excluded", "rejected"))),
)
CREDITS_SETTLED = Family(
    "credits_settled",
    "Credits that checkpoints have settled.",
    ("kind",),
    _BY_KIND,
)
REJECTIONS = Family(
    "rejections",
    "Records that were rejected, by whom they were to reach and why.",
    ("connector", "code"),
)
CHUNK_SECONDS = Family(
    "chunk_seconds",
    "From taking a chunk to its end, or to giving it back.",
    ("kind",),
    _BY_KIND,
    (0.05, 0.1, 0.5, 1, 5, 15, 60, 240),
)
CHECKPOINT_SECONDS = Family(
    "checkpoint_seconds",
    "How long the transaction takes that settles a batch.",
    ("kind",),
    _BY_KIND,
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
CHUNK_FAILURES = Family(
    "chunk_failures",
    "Runs of chunks that failed and are tried again.",
    ("kind", "reason"),
    tuple(product(_KINDS, ("retry", "storage"))),
)
LEASES_EXPIRED = Family(
    "leases_expired",
    "Leases that ran out under whoever held them.",
    ("what",),
    _HELD,
)
FENCED_WRITES = Family(
    "fenced_writes",
    "Writes that came too late: somebody else holds the work by now.",
    ("what",),
    _HELD,
)
MESSAGES_SENT_AGAIN = Family(
    "messages_sent_again",
    "Messages that the broker had lost.",
    ("queue",),
    (("chunks",), ("control",), ("small",)),
)
PAUSES = Family(
    "pauses_begun",
    "Pauses of providers and of connections, by why they began.",
    ("of", "reason"),
)
WEBHOOK_ATTEMPTS = Family(
    "webhook_attempts",
    "Attempts to tell a webhook of an event.",
    ("receiver", "result"),
    tuple(product(("license", "operator"), ("delivered", "refused", "unanswered"))),
)
SWEEPS = Family(
    "sweeps",
    "Sweeps for what crashes and pauses have left behind.",
    (),
    ((),),
)

FAMILIES = (
    RECORDS,
    CREDITS_SETTLED,
    REJECTIONS,
    CHUNK_SECONDS,
    CHECKPOINT_SECONDS,
    CHUNK_FAILURES,
    LEASES_EXPIRED,
    FENCED_WRITES,
    MESSAGES_SENT_AGAIN,
    PAUSES,
    WEBHOOK_ATTEMPTS,
    SWEEPS,
)
"""All of them, in the order in which they are shown."""
