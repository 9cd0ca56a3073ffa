"""FullEnrich: takes up to a hundred persons, and answers by webhook or when polled.

Deliverable, probable and catch-all addresses cost a credit, a mobile phone ten. Each
contact carries our ids in `custom` and brings them back: so an answer finds its request
even where the vendor's own id of it never reached us.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pricing.findings import NOTHING, EmailStatus, Finding
from pricing.plans import Item
from worker.findings.providers.errors import (
    BadSignature,
    InDoubt,
    Misconfigured,
    OutOfCredits,
    RateLimited,
    Unavailable,
)
from worker.findings.providers.http import Http, Reply
from worker.findings.providers.provider import Answer, Person, Report
from worker.findings.providers.vendor_texts import text_of

_STATUSES = {
    "DELIVERABLE": EmailStatus.VALID,
    "HIGH_PROBABILITY": EmailStatus.PROBABLE,
    "CATCH_ALL": EmailStatus.ACCEPT_ALL,
    "INVALID": EmailStatus.INVALID,
    "INVALID_DOMAIN": EmailStatus.INVALID,
}
_PAID_STATUSES = {EmailStatus.VALID, EmailStatus.PROBABLE, EmailStatus.ACCEPT_ALL}
_EMAIL_COSTS, _PHONE_COSTS = Decimal(1), Decimal(10)
_FIELDS = {Item.EMAIL: "contact.work_emails", Item.PHONE: "contact.phones"}
_ENDED = {"FINISHED", "CANCELED", "CREDITS_INSUFFICIENT"}
_MARK_MAX = 100
"""Characters of a value in `custom`; an id of ours may be twice as long."""
_OK = 200
_REFUSED = range(400, 500)
_RATE_LIMIT_S = 60.0
"""60 requests a minute; no header says how many are left."""


class FullEnrich:
    """The bulk enrichment of contacts, with our key, which also signs.

    Whom it cannot work with it skips, but it takes no request without anybody else.
    """

    name = "fullenrich"
    items = frozenset({Item.EMAIL, Item.PHONE})
    persons_max = 100

    def __init__(
        self, http: Http, *, key: str, url: str = "https://app.fullenrich.com"
    ) -> None:
        self._http = http
        self._key = key.encode()
        self._headers = {"Authorization": f"Bearer {key}"}
        self._bulk_url = f"{url.rstrip('/')}/api/v2/contact/enrich/bulk"

    async def submit(
        self,
        request_id: str,
        persons: Sequence[Person],
        items: frozenset[Item],
        webhook_url: str | None,
    ) -> str:
        """Hand the request over; the vendor's id of it comes back."""
        wanted = [_FIELDS[item] for item in Item if item in self.items & items]
        body: dict[str, Any] = {
            "name": request_id,
            "data": [_contact(request_id, person, wanted) for person in persons],
        }
        if webhook_url is not None:
            body["webhook_url"] = webhook_url
        # One contact that it cannot work with must not refuse the others.
        url = f"{self._bulk_url}?silentFail=true"
        reply = await self._http.submit(url, self._headers, body)
        _refuse(reply)
        match reply.json:
            case {"enrichment_id": str(vendor_id)} if reply.status == _OK:
                return vendor_id
        raise InDoubt(f"FullEnrich answered with {reply.status} and no id")

    async def poll(self, vendor_id: str) -> Report | None:
        """The report of a request that has ended."""
        url = f"{self._bulk_url}/{vendor_id}"
        reply = await self._http.get(url, self._headers, {})
        match reply.status, reply.json:
            case 400, {"code": "error.enrichment.in_progress"}:
                return None
            # What it has forgotten ends by our own deadline.
            case 404, {"code": "error.enrichment.not_found"}:
                return None
            # What was found until the credits ran out comes with the refusal.
            case 200 | 402, {"id": _}:
                report = _report(reply.json)
                return report if report.finished else None
        _refuse(reply)
        raise Unavailable(f"FullEnrich answered with {reply.status}")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Report:
        """The report of a batch, or of one contact of it."""
        signature = hmac.new(self._key, body, hashlib.sha1).hexdigest().encode()
        given = {name.lower(): value.encode() for name, value in headers.items()}
        if not hmac.compare_digest(signature, given.get("x-signature-sha1", b"")):
            raise BadSignature("FullEnrich has not signed this")
        try:
            return _report(json.loads(body))
        except ValueError as error:
            raise Unavailable("FullEnrich sent something else than JSON") from error


def _contact(request_id: str, person: Person, wanted: list[str]) -> dict[str, Any]:
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "domain": person.company_domain,
        "company_name": person.company_name,
        "enrich_fields": wanted,
        "custom": {
            "request": request_id,
            "person": person.id[:_MARK_MAX],
            "person_more": person.id[_MARK_MAX:],
        },
    }


def _refuse(reply: Reply) -> None:
    """Raise what a refusal means: nothing has been taken on."""
    match reply.status, reply.json:
        case 401 | 403, _:
            raise Misconfigured("FullEnrich does not take this key")
        case 429, _:
            raise RateLimited("FullEnrich's rate limit", _RATE_LIMIT_S)
        case 402, _:
            raise OutOfCredits("FullEnrich's credits are spent")
        case int(status), refusal if status in _REFUSED:
            code = text_of(refusal, "code")
            raise Unavailable(f"FullEnrich answered with {status}: {code}")


def _report(answer: object) -> Report:
    match answer:
        case {"id": str(vendor_id), "status": str(status), "data": list() as results}:
            short = status == "CREDITS_INSUFFICIENT"
            return Report(
                request_id=_request_id(results),
                vendor_id=vendor_id,
                answers={
                    person_id: answer
                    for person_id, answer in _answers(results)
                    # It also lists whom it had no credits left to look up.
                    if not short or answer.finding != NOTHING
                },
                finished=status in _ENDED,
                out_of_credits=short,
            )
    raise Unavailable("FullEnrich's answer is no report")


def _request_id(results: Sequence[Any]) -> str | None:
    for result in results:
        match result:
            case {"custom": {"request": str(request_id)}}:
                return request_id
    return None


def _answers(results: Sequence[Any]) -> Iterator[tuple[str, Answer]]:
    for result in results:
        match result:
            case {"custom": {"person": str(person_id), **more}}:
                yield person_id + (text_of(more, "person_more") or ""), _answer(result)


def _answer(result: Mapping[str, Any]) -> Answer:
    match result.get("contact_info"):
        case dict() as info:
            email = _email(info.get("most_probable_work_email"))
            phone = text_of(info.get("most_probable_phone"), "number")
            finding = Finding(*email, phone)
            return Answer(finding=finding, paid=_paid(finding))
    return Answer()


def _email(found: object) -> tuple[str | None, EmailStatus]:
    status = text_of(found, "status") or ""
    return text_of(found, "email"), _STATUSES.get(status, EmailStatus.UNKNOWN)


def _paid(finding: Finding) -> Decimal:
    is_paid = finding.email is not None and finding.email_status in _PAID_STATUSES
    return is_paid * _EMAIL_COSTS + (finding.phone is not None) * _PHONE_COSTS
