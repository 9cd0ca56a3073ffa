"""The providers that settings can name, and the order in which they do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from worker.findings.providers.directory import Directory
from worker.infrastructure.errors import NotConfigured

if TYPE_CHECKING:
    from worker.infrastructure.settings import Settings

DIRECTORY = Directory.name
"""The provider that is our own: it is always up, and never paid."""


class Vendor(NamedTuple):
    """A provider that settings can name: its class, and what its settings begin with.

    Its module, and the HTTP client, are loaded where it is named.
    """

    kind: str
    prefix: str
    verifier: str | None = None
    """The class that verifies the addresses which others found."""


IMMEDIATE: Mapping[str, Vendor] = {
    "hunter": Vendor("Hunter", "hunter", "HunterVerifier"),
    "people_data_labs": Vendor("PeopleDataLabs", "pdl"),
}
DEFERRED: Mapping[str, Vendor] = {
    "fullenrich": Vendor("FullEnrich", "fullenrich"),
}
VENDORS = {**IMMEDIATE, **DEFERRED}
"""By name, which is that of the module as well."""


def check_limits(settings: "Settings") -> None:
    """Refuse to ask providers where nothing counts how often.

    For whoever will ask them, at its start: who asks nobody needs no Redis.
    """
    asks = any(name != DIRECTORY for name in order_of(settings))
    if asks and settings.limits_url is None:
        raise without_redis()


def without_redis() -> NotConfigured:
    """What is lacking where providers are to be asked and nothing counts how often."""
    return NotConfigured("HOLDFAST_REDIS_URL is not set: providers need it")


def order_of(settings: "Settings") -> tuple[str, ...]:
    """Whom to ask, in turn. Raises `NotConfigured` for a name that nobody has."""
    names = tuple(
        name.strip() for name in settings.providers.split(",") if name.strip()
    )
    for name in names:
        if name not in (DIRECTORY, *VENDORS):
            known = ", ".join((DIRECTORY, *VENDORS))
            raise NotConfigured(f"HOLDFAST_PROVIDERS: {name} is not one of {known}")
    if len(set(names)) < len(names):
        raise NotConfigured("HOLDFAST_PROVIDERS names a provider twice")
    return names
