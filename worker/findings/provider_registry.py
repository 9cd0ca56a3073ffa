"""The providers that the settings name, in their order, and what they are asked by.

A process makes the loop, the connections and the limits when they are first needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from limits import RateLimitItem, parse_many

from worker.findings.provider_limits import ProviderLimits
from worker.findings.provider_requests import Slots
from worker.findings.providers.directory import Directory
from worker.findings.providers.fullenrich import FullEnrich
from worker.findings.providers.http import Http
from worker.findings.providers.hunter import Hunter, HunterVerifier
from worker.findings.providers.people_data_labs import PeopleDataLabs
from worker.findings.providers.provider import Deferred, Immediate
from worker.findings.waterfall import DIRECTORY
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.event_loop_thread import EventLoopThread
from worker.infrastructure.name_resolution import SHARED
from worker.infrastructure.settings import Settings

_IMMEDIATE: Mapping[str, Callable[[Http, str, str], Immediate]] = {
    Hunter.name: lambda http, key, url: Hunter(http, key=key, url=url),
    PeopleDataLabs.name: lambda http, key, url: PeopleDataLabs(http, key=key, url=url),
}
_DEFERRED: Mapping[str, Callable[[Http, str, str], Deferred]] = {
    FullEnrich.name: lambda http, key, url: FullEnrich(http, key=key, url=url),
}
_PREFIX = {
    Hunter.name: "hunter",
    PeopleDataLabs.name: "pdl",
    FullEnrich.name: "fullenrich",
}
"""What the settings of each begin with."""


class ProviderRegistry:
    """Whom to ask, in turn."""

    def __init__(self, settings: Settings) -> None:
        self.order = _order(settings)
        self._settings = settings
        self.event_loop = EventLoopThread()
        self._http = Http(
            timeout_s=settings.provider_timeout_s,
            resolve=SHARED.resolve_in_loop,
            connections_max=settings.provider_concurrency,
        )
        self._immediate: dict[str, Immediate] = {
            name: _IMMEDIATE[name](self._http, *_address(settings, name))
            for name in self.order
            if name in _IMMEDIATE
        }
        self._deferred: dict[str, Deferred] = {
            name: _DEFERRED[name](self._http, *_address(settings, name))
            for name in self.order
            if name in _DEFERRED
        }
        hunter = self._immediate.get(Hunter.name)
        self.verifier = HunterVerifier(hunter) if isinstance(hunter, Hunter) else None
        """Who verifies the addresses that others found, if anybody does."""
        self._slots = {
            name: Slots(settings.provider_concurrency) for name in self._immediate
        }

    @property
    def any(self) -> bool:
        """Whether anybody is asked besides the directory."""
        return bool(self._immediate or self._deferred)

    def immediate(self, name: str) -> Immediate | None:
        """The provider of this name, if it answers at once."""
        return self._immediate.get(name)

    def deferred(self, name: str) -> Deferred | None:
        """The provider of this name, if it answers later."""
        return self._deferred.get(name)

    def slots(self, name: str) -> Slots:
        """What requests to a provider that answers at once take a place in."""
        return self._slots[name]

    @cached_property
    def limits(self) -> ProviderLimits:
        """What lets requests through. Raises `NotConfigured` without a Redis."""
        settings = self._settings
        if settings.limits_url is None:
            raise _without_redis()
        return ProviderLimits(
            settings.limits_url,
            {name: _rates(settings, name) for name in self.order if name != DIRECTORY},
            failures_max=settings.provider_failures_max,
            rest_s=settings.provider_rest_s,
        )

    def out_of_credits(self, name: str) -> None:
        """Let nobody ask a provider that said so for a while."""
        self.event_loop.run(self.limits.out_of_credits(name))

    def close(self) -> None:
        """Close the connections and end the loop."""
        if "limits" in self.__dict__:
            self.event_loop.run(self.limits.close())
            self.event_loop.run(self._http.close())
        self.event_loop.close()


def check_limits(settings: Settings) -> None:
    """Refuse to ask providers where nothing counts how often.

    For whoever will ask them, at its start: who asks nobody needs no Redis.
    """
    asks = any(name != DIRECTORY for name in _order(settings))
    if asks and settings.limits_url is None:
        raise _without_redis()


def _without_redis() -> NotConfigured:
    return NotConfigured("HOLDFAST_REDIS_URL is not set: providers need it")


def _order(settings: Settings) -> tuple[str, ...]:
    names = tuple(
        name.strip() for name in settings.providers.split(",") if name.strip()
    )
    for name in names:
        if name not in (DIRECTORY, *_PREFIX):
            known = ", ".join((DIRECTORY, *_PREFIX))
            raise NotConfigured(f"HOLDFAST_PROVIDERS: {name} is not one of {known}")
    if len(set(names)) < len(names):
        raise NotConfigured("HOLDFAST_PROVIDERS names a provider twice")
    return names


def _address(settings: Settings, name: str) -> tuple[str, str]:
    prefix = _PREFIX[name]
    key = getattr(settings, f"{prefix}_key")
    if key is None:
        raise NotConfigured(f"HOLDFAST_{prefix.upper()}_KEY is not set")
    url: str = getattr(settings, f"{prefix}_url")
    return key.get_secret_value(), url


def _rates(settings: Settings, name: str) -> Sequence[RateLimitItem]:
    prefix = _PREFIX[name]
    given = getattr(settings, f"{prefix}_rate")
    try:
        return parse_many(given)
    except ValueError as error:
        raise NotConfigured(f"HOLDFAST_{prefix.upper()}_RATE: {error}") from error


@dataclass(frozen=True, kw_only=True)
class FindingDeps(Deps):
    """What use cases around findings are given: whom to ask."""

    directory: Directory
    providers: ProviderRegistry
