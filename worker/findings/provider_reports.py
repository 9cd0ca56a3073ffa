"""Reports of providers on requests that they answer later.

A report may come twice, by webhook and by poll, and after its request has expired: each
answer is stored once, then the chunk that waits for it goes on.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pricing.plans import Item
from storage.findings import findings, lookups, provider_costs
from storage.findings.findings import Key, Memory
from storage.findings.lookups import Asked, Matched
from storage.findings.provider_costs import Cost
from worker.findings.provider_registry import FindingDeps
from worker.findings.providers.provider import Report
from worker.findings.waterfall import memories_of
from worker.infrastructure.ids import trimmed

log = logging.getLogger(__name__)


def take(deps: FindingDeps, provider: str, report: Report) -> Matched | None:
    """Store a report, and wake who waits for it; the request, if there is one."""
    report = replace(
        report,
        answers={trimmed(person): answer for person, answer in report.answers.items()},
    )
    with deps.database.transaction() as connection:
        matched = lookups.match(
            connection,
            provider,
            request_id=report.request_id,
            vendor_id=report.vendor_id,
        )
        if matched is None:
            return None
        fresh = lookups.answer(connection, matched.id, report.answers.keys())
        memories = _memories(provider, fresh, report)
        if report.finished:
            left_out = lookups.end(connection, matched.id)
            if not report.out_of_credits:
                memories += [Memory(*asked, provider) for asked in left_out]
        findings.keep(connection, memories)
        provider_costs.add(connection, matched.job_id, _cost(provider, fresh, report))
    with deps.database.transaction() as connection:
        lookups.wake(connection, matched.chunk_id)
    if report.out_of_credits:
        deps.providers.out_of_credits(provider)
    return matched


def _memories(provider: str, fresh: Sequence[Asked], report: Report) -> list[Memory]:
    items: dict[Key, set[Item]] = {asked.key: set() for asked in fresh}
    for asked in fresh:
        items[asked.key].add(asked.item)
    return [
        memory
        for key, of in items.items()
        for memory in memories_of(
            key, provider, of, report.answers[trimmed(key.person_id)]
        )
    ]


def _cost(provider: str, fresh: Sequence[Asked], report: Report) -> Cost:
    persons = {trimmed(asked.person_id) for asked in fresh}
    paid = sum((report.answers[person].paid for person in persons), Decimal(0))
    return Cost(provider, len(persons), paid)


_LIMIT = 100


def expire(deps: FindingDeps) -> None:
    """End requests whose deadline has passed: they count as not found."""
    with deps.database.transaction() as connection:
        expired = lookups.expire(connection, limit=_LIMIT)
    for lookup_id in expired:
        log.warning("%s was not answered in time: it counts as not found", lookup_id)
