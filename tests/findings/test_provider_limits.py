"""The limits that workers share: rates are used up by requests, not by waiting."""

import asyncio

from limits import parse_many

from worker.findings.provider_limits import ProviderLimits

_VENDOR = "vendor"


def _limits(redis_url: str) -> ProviderLimits:
    return ProviderLimits(
        redis_url, {_VENDOR: parse_many("2000/hour")}, failures_max=5, rest_s=1
    )


def test_those_who_wait_together_take_no_more_than_they_use(redis_url):
    async def use() -> None:
        # Two workers; Paused is raised where less is left than they need.
        for limits, requests in (
            (_limits(redis_url), 100),
            (_limits(redis_url), 1_900),
        ):
            await asyncio.gather(*(limits.enter(_VENDOR) for _ in range(requests)))
            await limits.close()

    asyncio.run(use())
