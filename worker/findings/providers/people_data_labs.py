"""People Data Labs: up to a hundred persons a request, paid for by the match.

Its addresses are not verified: their status is unknown until a verifier has seen them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from pricing.findings import EmailStatus, Finding
from pricing.plans import Item
from worker.findings.providers.errors import (
    Misconfigured,
    OutOfCredits,
    RateLimited,
    Unavailable,
)
from worker.findings.providers.http import Http, Reply, retry_after_s
from worker.findings.providers.provider import Answer, Person
from worker.findings.providers.vendor_texts import text_of

_MATCH_COSTS = Decimal(1)
_FIELDS = {Item.EMAIL: "work_email", Item.PHONE: "mobile_phone"}
_WINDOW_S = 60.0
"""Its limits are those of a minute, and begin anew with the next one."""


class PeopleDataLabs:
    """The bulk enrichment of persons, with our key."""

    name = account = "people_data_labs"
    items = frozenset({Item.EMAIL, Item.PHONE})
    persons_max = 100

    def __init__(
        self, http: Http, *, key: str, url: str = "https://api.peopledatalabs.com"
    ) -> None:
        self._http = http
        self._headers = {"X-Api-Key": key}
        self._url = url.rstrip("/")

    async def look_up(
        self, persons: Sequence[Person], items: frozenset[Item]
    ) -> Mapping[str, Answer]:
        """What was matched, each answer taken by the mark that it carries back."""
        asked = {
            str(place): person
            for place, person in enumerate(persons)
            if person.can_be_asked_about
        }
        nothing = {person.id: Answer() for person in persons}
        for person in asked.values():
            del nothing[person.id]
        if not asked:
            return nothing
        body = {"requests": [_request(mark, asked[mark], items) for mark in asked]}
        url = f"{self._url}/v5/person/bulk"
        reply = await self._http.post(url, self._headers, body)
        return nothing | {
            asked[mark].id: answer
            for mark, answer in _answers(_listed(reply), items)
            if mark in asked
        }


def _request(mark: str, person: Person, items: frozenset[Item]) -> dict[str, Any]:
    fields = [_FIELDS[item] for item in Item if item in items & set(_FIELDS)]
    params = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "company": person.company_domain or person.company_name,
        # A match without what is looked for would be paid for all the same.
        "required": " OR ".join(fields),
        # Nothing else of the person is any business of ours.
        "data_include": ",".join(fields),
    }
    return {"params": params, "metadata": {"mark": mark}}


def _listed(reply: Reply) -> list[Any]:
    match reply.status, reply.json:
        case 401 | 403, _:
            raise Misconfigured("People Data Labs does not take this key")
        case 402, _:
            raise OutOfCredits("People Data Labs' credits are spent")
        case 429, _:
            raise RateLimited("People Data Labs' limit", _window_s(reply))
        case 200, list() as listed:
            return listed
    raise Unavailable(f"People Data Labs answered with {reply.status}")


def _window_s(reply: Reply) -> float:
    """How long until the limit is lifted, by the vendor's own clock."""
    reset, now = reply.headers.get("x-ratelimit-reset"), reply.headers.get("Date")
    try:
        left = datetime.fromisoformat(reset or "") - parsedate_to_datetime(now or "")
    except (ValueError, TypeError):
        return retry_after_s(reply) or _WINDOW_S
    return min(max(left.total_seconds(), 1.0), _WINDOW_S)


def _answers(listed: list[Any], items: frozenset[Item]) -> list[tuple[str, Answer]]:
    """Whoever was answered for; an item that went wrong was not answered."""
    answers = []
    for result in listed:
        match result:
            case {
                "status": 200,
                "metadata": {"mark": str(mark)},
                "data": dict() as data,
            }:
                found = Answer(finding=_finding(data, items), paid=_MATCH_COSTS)
                answers.append((mark, found))
            case {"status": 404, "metadata": {"mark": str(mark)}}:
                answers.append((mark, Answer()))
    return answers


def _finding(data: Mapping[str, Any], items: frozenset[Item]) -> Finding:
    # A field that our plan does not show is `true` where there is something.
    found = {item: text_of(data, _FIELDS[item]) for item in items & set(_FIELDS)}
    return Finding(
        email=found.get(Item.EMAIL),
        email_status=EmailStatus.UNKNOWN,
        phone=found.get(Item.PHONE),
    )
