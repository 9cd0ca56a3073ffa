"""Hunter: finds a professional e-mail, one person a request, and verifies others'.

Found addresses cost a credit, a verification half of one, what is not found nothing.
Unlike elsewhere, 403 is the rate limit, 429 says that the credits are spent, and 451
that the person has objected.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
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

_FOUND_COSTS = Decimal(1)
_VERIFICATION_COSTS = Decimal("0.5")
_STATUSES = {
    "valid": EmailStatus.VALID,
    "accept_all": EmailStatus.ACCEPT_ALL,
    "unknown": EmailStatus.UNKNOWN,
    "invalid": EmailStatus.INVALID,
    "disposable": EmailStatus.DISPOSABLE,
    "webmail": EmailStatus.DISPOSABLE,
}
_OK, _NOT_YET, _LAWFULLY_UNAVAILABLE = 200, 202, 451
_NO_SUCH_REQUEST = {400, 422}
"""What it says of a name or a domain that it cannot make anything of."""
_RATE_LIMIT_S = 1.0
"""Hunter counts by the second and the minute, and names neither in a header."""
_VERIFICATION_TRIES = 5
_VERIFICATION_WAIT_S = 1.0


class Hunter:
    """The e-mail finder and the verifier, with our key."""

    name = account = "hunter"
    items = frozenset({Item.EMAIL})
    persons_max = 1

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        url: str = "https://api.hunter.io",
        wait_s: float = _VERIFICATION_WAIT_S,
    ) -> None:
        self._http = http
        # In a header: what stands in a URL ends in somebody's log.
        self._headers = {"X-API-KEY": key}
        self._url = url.rstrip("/")
        self._wait_s = wait_s

    async def look_up(
        self,
        persons: Sequence[Person],
        items: frozenset[Item],  # noqa: ARG002 - there is but one
    ) -> Mapping[str, Answer]:
        """The address of one person; whom Hunter cannot be asked about has none."""
        (person,) = persons
        if not person.can_be_asked_about:
            return {person.id: Answer()}
        url = f"{self._url}/v2/email-finder"
        reply = await self._http.get(url, self._headers, _params(person))
        return {person.id: _answer(reply)}

    async def verify(self, email: str) -> tuple[EmailStatus, Decimal]:
        """The status of an address, and what that cost.

        Unknown where Hunter does not get at it in time.
        """
        url = f"{self._url}/v2/email-verifier"
        for _ in range(_VERIFICATION_TRIES):
            reply = await self._http.get(url, self._headers, {"email": email})
            if reply.status == _LAWFULLY_UNAVAILABLE:
                return EmailStatus.OBJECTED, Decimal(0)
            _refuse(reply)
            if reply.status == _OK:
                return _status(_data(reply)), _VERIFICATION_COSTS
            if reply.status != _NOT_YET:
                break
            await asyncio.sleep(self._wait_s)
        return EmailStatus.UNKNOWN, Decimal(0)


class HunterVerifier:
    """Says how good the addresses are that others found without saying so."""

    name = "hunter_verifier"
    account = Hunter.account
    items = frozenset({Item.EMAIL})
    persons_max = 1

    def __init__(self, hunter: Hunter) -> None:
        self._hunter = hunter

    async def look_up(
        self,
        persons: Sequence[Person],
        items: frozenset[Item],  # noqa: ARG002 - there is but one
    ) -> Mapping[str, Answer]:
        """The unverified address of one person, with the status that it has."""
        (person,) = persons
        status, paid = await self._hunter.verify(person.unverified)
        objected = status is EmailStatus.OBJECTED
        email = None if objected else person.unverified
        return {person.id: Answer(finding=Finding(email, status), paid=paid)}


def _params(person: Person) -> dict[str, str]:
    names = {"first_name": person.first_name, "last_name": person.last_name}
    if person.company_domain:
        return names | {"domain": person.company_domain}
    return names | {"company": person.company_name}


def _refuse(reply: Reply) -> None:
    """Raise what a refusal means; a request that is wrong is told by its status."""
    match reply.status:
        case 401:
            raise Misconfigured("Hunter does not know this key")
        case 403:
            raise RateLimited(
                "Hunter's rate limit", retry_after_s(reply) or _RATE_LIMIT_S
            )
        case 429:
            raise OutOfCredits("Hunter's credits are spent", retry_after_s(reply))


def _answer(reply: Reply) -> Answer:
    if reply.status == _LAWFULLY_UNAVAILABLE:
        return Answer(finding=Finding(email_status=EmailStatus.OBJECTED))
    if reply.status in _NO_SUCH_REQUEST:
        return Answer()
    _refuse(reply)
    data = _data(reply)
    email = text_of(data, "email")
    if reply.status != _OK or email is None:
        return Answer()
    return Answer(
        finding=Finding(email, _status(data.get("verification"))), paid=_FOUND_COSTS
    )


def _data(reply: Reply) -> Mapping[str, Any]:
    match reply.json:
        case {"data": dict() as data}:
            return data
    raise Unavailable(f"Hunter's answer, {reply.status}, has no data")


def _status(verification: object) -> EmailStatus:
    return _STATUSES.get(text_of(verification, "status") or "", EmailStatus.UNKNOWN)
