"""One way to ask any provider, whether it answers at once or later."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pricing.plans import Item
from tests.findings.providers.conftest import Box
from worker.findings.providers.provider import Answer, Deferred, Person, Report

BOTH = frozenset({Item.EMAIL, Item.PHONE})
PROVIDERS = ("hunter", "people_data_labs", "fullenrich")
_LOOK_S = 0.01


def person(number: int, **more: str) -> Person:
    """One of a crowd."""
    given = {
        "id": f"p{number}",
        "first_name": f"Ada{number}",
        "last_name": "Lovelace",
        "company_domain": "engine.example",
    }
    return Person(**given | more)


def crowd(count: int) -> list[Person]:
    """So many persons."""
    return [person(number) for number in range(count)]


async def ask(
    box: Box, name: str, persons: Sequence[Person], items: frozenset[Item] = BOTH
) -> Mapping[str, Answer]:
    """The answers of a provider on as many persons as are given."""
    provider: Any = getattr(box, name)
    size = provider.persons_max
    slices = [persons[at : at + size] for at in range(0, len(persons), size)]
    ask_one = _defer if hasattr(provider, "submit") else _look_up
    answers = await asyncio.gather(
        *(ask_one(provider, part, items & provider.items) for part in slices)
    )
    return {key: answer for part in answers for key, answer in part.items()}


async def _look_up(
    provider: Any, persons: Sequence[Person], items: frozenset[Item]
) -> Mapping[str, Answer]:
    found: Mapping[str, Answer] = await provider.look_up(persons, items)
    return found


async def _defer(
    provider: Any, persons: Sequence[Person], items: frozenset[Item]
) -> Mapping[str, Answer]:
    vendor_id = await provider.submit("lkp_1", persons, items, None)
    report = await ended(provider, vendor_id)
    # Whom a finished report leaves out was not found.
    return {person.id: Answer() for person in persons} | dict(report.answers)


async def ended(provider: Deferred, vendor_id: str) -> Report:
    """The report of a request, once it has ended."""
    while True:
        report = await provider.poll(vendor_id)
        if report is not None:
            return report
        await asyncio.sleep(_LOOK_S)
