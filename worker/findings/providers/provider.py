"""What a provider is: who finds e-mails and phones, at once or later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from pricing.findings import NOTHING, Finding
from pricing.plans import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom to look up, and by what. `id` is the app backend's."""

    id: str
    first_name: str
    last_name: str
    company_domain: str
    company_name: str = ""
    unverified: str = ""
    """An address that somebody found, for a verifier; others do not look at it."""

    @property
    def can_be_asked_about(self) -> bool:
        """Whether there is enough for vendors: both names, and a company."""
        company = self.company_domain or self.company_name
        given = (self.first_name, self.last_name, company)
        return all(text.strip() for text in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one look-up of one person came to; `paid` is in the vendor's own credits.

    The e-mail status `objected` says that the person may not be looked up anywhere.
    """

    finding: Finding = NOTHING
    paid: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a deferred request stands: its answers by the person's id.

    `request_id` is ours, as the vendor gave it back. Whom a finished report leaves
    out was not found, unless the vendor ran `out_of_credits`: then nobody knows.
    """

    request_id: str | None
    vendor_id: str
    answers: Mapping[str, Answer]
    finished: bool
    out_of_credits: bool = False


class Immediate(Protocol):
    """Answers in the response; raises a `ProviderError` for all persons or none.

    Answers are remembered by `name`; `account` is whose limits and credits it uses.
    """

    name: str
    account: str
    items: frozenset[Item]
    persons_max: int

    async def look_up(
        self, persons: Sequence[Person], items: frozenset[Item]
    ) -> Mapping[str, Answer]:
        """Answers by the person's id; who is left out may be asked about again."""


class Deferred(Protocol):
    """Takes a request of at most `persons_max`, and answers it later."""

    name: str
    items: frozenset[Item]
    persons_max: int

    async def submit(
        self,
        request_id: str,
        persons: Sequence[Person],
        items: frozenset[Item],
        webhook_url: str | None,
    ) -> str:
        """The vendor's id of it. Raises `InDoubt` where it may have arrived."""

    async def poll(self, vendor_id: str) -> Report | None:
        """What the request came to; None while it is being worked on."""

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Report:
        """What the vendor sent. Raises `BadSignature`."""


class Provider(Protocol):
    """Finds contact data for persons at once, without a network in between."""

    name: str

    def find(
        self,
        persons: Sequence[Person],
        items: Sequence[Item],
    ) -> Mapping[str, Finding]:
        """What was found, by the person's id."""
