"""Links to a license's overview: they need no key, show it alone, and expire."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from storage.licenses import licenses
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import bad
from worker.licenses.licenses import open_license

_PURPOSE = "license overview"
LASTS_S, LASTS_S_MAX = 7 * 24 * 3600, 90 * 24 * 3600


class OverviewLink(NamedTuple):
    """Where the overview can be seen, and until when."""

    url: str
    expires_at: datetime


def make(
    deps: Deps, license_id: str, base_url: str, by: Acting, *, lasts_s: int = LASTS_S
) -> OverviewLink:
    """A link for whoever is given it; who made it stands in the action log.

    Raises `Refused` where there is no license.
    """
    if not 1 <= lasts_s <= LASTS_S_MAX:
        raise bad("lasts_s", f"must be 1 to {LASTS_S_MAX}")
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        until = licenses.business_now(connection) + timedelta(seconds=lasts_s)
        until = until.replace(microsecond=0)
        target = Target("license", license_id, license_id)
        action_log.note(connection, by, "link_overview", target)
    base = (deps.settings.public_url or base_url).rstrip("/")
    unix_s = int(until.timestamp())
    signature = deps.keyring.sign(_PURPOSE, _signed(license_id, unix_s))
    path = f"/console/shared/{quote(license_id, safe='')}"
    return OverviewLink(f"{base}{path}?until={unix_s}&signature={signature}", until)


def opens(deps: Deps, license_id: str, until: str, signature: str) -> bool:
    """Whether a link was made here for this license, and has not expired."""
    if not until.isascii() or not until.isdigit() or len(until) > len("99999999999"):
        return False
    unix_s = int(until)
    if not deps.keyring.verify(_PURPOSE, _signed(license_id, unix_s), signature):
        return False
    with deps.database.reading() as connection:
        return licenses.business_now(connection) < datetime.fromtimestamp(unix_s, UTC)


def _signed(license_id: str, unix_s: int) -> str:
    return f"{unix_s} {license_id}"
