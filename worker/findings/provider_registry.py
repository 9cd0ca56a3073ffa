"""The providers that the settings name, in their order, and what they are asked by.

A process makes the loop, the connections and the limits when they are first needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from worker.findings.provider_names import (
    DEFERRED,
    DIRECTORY,
    IMMEDIATE,
    VENDORS,
    order_of,
    without_redis,
)
from worker.findings.provider_requests import Slots
from worker.findings.providers.directory import Directory
from worker.findings.providers.provider import Deferred, Immediate
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.event_loop_thread import EventLoopThread
from worker.infrastructure.name_resolution import SHARED
from worker.infrastructure.settings import Settings

if TYPE_CHECKING:
    from limits import RateLimitItem

    from worker.findings.provider_limits import ProviderLimits
    from worker.findings.providers.http import Http


class ProviderRegistry:
    """Whom to ask, in turn."""

    def __init__(self, settings: Settings) -> None:
        self.order = order_of(settings)
        self._settings = settings
        self.event_loop = EventLoopThread()
        self._immediate: dict[str, Immediate] = {
            name: self._made(name) for name in self.order if name in IMMEDIATE
        }
        self._deferred: dict[str, Deferred] = {
            name: self._made(name) for name in self.order if name in DEFERRED
        }
        self.verifier = self._verifier()
        """Who verifies the addresses that others found, if anybody does."""
        self._slots = {
            name: Slots(settings.provider_concurrency) for name in self._immediate
        }

    def _made(self, name: str) -> Any:  # noqa: ANN401 - its class was not loaded before
        key, url = _address(self._settings, name)
        kind = getattr(_module(name), VENDORS[name].kind)
        return kind(self._http, key=key, url=url)

    def _verifier(self) -> Immediate | None:
        for name, provider in self._immediate.items():
            if (kind := VENDORS[name].verifier) is not None:
                verifier: Immediate = getattr(_module(name), kind)(provider)
                return verifier
        return None

    @cached_property
    def _http(self) -> "Http":
        from worker.findings.providers.http import Http  # noqa: PLC0415 - 8 MB that few need

        return Http(
            timeout_s=self._settings.provider_timeout_s,
            resolve=SHARED.resolve_in_loop,
            connections_max=self._settings.provider_concurrency,
        )

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
    def limits(self) -> "ProviderLimits":
        """What lets requests through. Raises `NotConfigured` without a Redis."""
        from worker.findings.provider_limits import ProviderLimits  # noqa: PLC0415 - as for the client

        settings = self._settings
        if settings.limits_url is None:
            raise without_redis()
        return ProviderLimits(
            settings.limits_url,
            {
                name: rates_of(settings, name)
                for name in self.order
                if name != DIRECTORY
            },
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


def _module(name: str) -> Any:  # noqa: ANN401 - a module of its own for each
    return import_module(f"worker.findings.providers.{name}")


def _address(settings: Settings, name: str) -> tuple[str, str]:
    prefix = VENDORS[name].prefix
    key = getattr(settings, f"{prefix}_key")
    if key is None:
        raise NotConfigured(f"HOLDFAST_{prefix.upper()}_KEY is not set")
    url: str = getattr(settings, f"{prefix}_url")
    return key.get_secret_value(), url


def rates_of(settings: Settings, name: str) -> Sequence["RateLimitItem"]:
    """How often all workers together may ask a provider. Raises `NotConfigured`."""
    from limits import parse_many  # noqa: PLC0415 - as for the client

    prefix = VENDORS[name].prefix
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
