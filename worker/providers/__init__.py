"""Who finds e-mails and phones, one module each.

A provider is asked for a batch of persons at once, with no transaction open, and
answers with what it found; whom it does not know it leaves out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pricing.findings import Finding
from pricing.plans import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom to look up, and by what."""

    id: str
    first_name: str
    last_name: str
    company_domain: str


class Provider(Protocol):
    """Finds contact data for persons."""

    name: str

    def find(
        self,
        persons: Sequence[Person],
        items: Sequence[Item],
    ) -> Mapping[str, Finding]:
        """What was found, by the person's id."""
