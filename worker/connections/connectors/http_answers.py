"""What HTTP itself says in an answer of any vendor: how long to wait, and who spoke."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

from worker.connections.connectors.connector import Reply
from worker.connections.connectors.errors import Unavailable
from worker.infrastructure.clock import wall_s

FORBIDDEN = 403
_DAY_S = 86_400.0


def retry_after_s(
    headers: Mapping[str, str], name: str = "retry-after"
) -> float | None:
    """The seconds that a header says to wait, at most a day; None where it says none.

    A number, with a fraction or without, or a date of HTTP (RFC 9110, section 10.2.3),
    which is held against the answer's own.
    """
    text = headers.get(name, "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, headers.get("date", ""))
    if not isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _DAY_S)


def _seconds_until(date: str, now: str) -> float:
    try:
        at_s = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return float("nan")
    try:
        return at_s - parsedate_to_datetime(now).timestamp()
    except ValueError:
        return at_s - wall_s()


def raise_if_blocked(reply: Reply, vendor: str) -> None:
    """Raise `Unavailable` for a 403 that is no JSON: something before the API said so.

    A firewall's page, as a rule for having asked too much: it passes, and where it does
    not, a person has to look.
    """
    if reply.status != FORBIDDEN or isinstance(reply.json, dict | list):
        return
    raise Unavailable(
        f"{vendor} answered with 403 and no JSON: a firewall before it, as a rule",
        # Not at once: whoever keeps asking is kept out for longer.
        retry_after_s(reply.headers) or 0.0,
        parks_as="forbidden",
    )
