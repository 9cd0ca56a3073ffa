"""What a record asks to pay for: its claims, each an item and a subject (rule 2).

A company's credit belongs to the company's id, an e-mail's and a phone's to the
person's. As a guard against an id that is used again for somebody else, a person
that our own directory does not know also carries a digest of what it is
looked up by: the same id with another digest is a new subject. One that it knows is
settled under both, so that it is paid for once however another job came to know it.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pricing.plans import Item, Terms

KNOWN = ""
"""The digest of a person that the directory knows: the id alone decides."""

DERIVED = "drv_"
"""How the ids begin that Holdfast derives for a license; no directory knows them."""

OWN = "own"
"""Stands in a claim for the digest that its record asks with.

So the claims of most records of a job are the same few: they are made, held and
encoded once, whomever each record names.
"""

_DIGEST_HEX = 32


class Entitlement(NamedTuple):
    """What a license has paid for of one subject, and when it last used it.

    Each use stands on a charge, by its id.
    """

    digest: str
    exported_at: datetime | None
    viewed_at: datetime | None
    exported_by: int | None = None
    viewed_by: int | None = None


Entitlements = Mapping[tuple[Item, str], Sequence[Entitlement]]
"""Paid entitlements by item and subject's id, any digest."""


class PricedClaim(NamedTuple):
    """A claim of a record with its frozen price: 0, or the item's unit.

    Its subject is the record's company for a company, else the record's person.
    """

    item: Item
    digest: str
    credits: int


def resolved(claims: Iterable[PricedClaim], own: str) -> tuple[PricedClaim, ...]:
    """The claims with `own`, the digest that their record asked with, for `OWN`."""
    return tuple(
        [
            claim._replace(digest=own) if claim.digest == OWN else claim
            for claim in claims
        ]
    )


class AskedColumns(NamedTuple):
    """Whom some records name; what stands at one place is a record.

    `numbers` count from 1 in the input. `known` says whom the directory knows, so that
    the id alone decides; the others ask with what they are looked up by: what `OWN`
    stands for in their claims. That is asked for where somebody's matters: most persons
    come once, and nobody has paid for them.
    """

    numbers: Sequence[int]
    company_ids: Sequence[str]
    person_ids: Sequence[str | None]
    known: Sequence[bool]
    owns: Callable[[], Sequence[str]]

    @classmethod
    def by_digests(
        cls,
        numbers: Sequence[int],
        company_ids: Sequence[str],
        person_ids: Sequence[str | None],
        digests: Sequence[str],
    ) -> "AskedColumns":
        """Records with what each asks with at hand, `KNOWN` for whom is known."""
        known = [digest == KNOWN for digest in digests]
        return cls(numbers, company_ids, person_ids, known, lambda: digests)

    def at(self, places: Sequence[int]) -> "AskedColumns":
        """Those at some places."""
        return AskedColumns(
            [self.numbers[place] for place in places],
            [self.company_ids[place] for place in places],
            [self.person_ids[place] for place in places],
            [self.known[place] for place in places],
            lambda: list(map(self.owns().__getitem__, places)),
        )


class Asked(NamedTuple):
    """Who one record names, as far as pricing needs to know."""

    company_id: str
    person_id: str | None = None
    digest: str = KNOWN

    def subject(self, item: Item) -> str:
        """The id that a charge for `item` belongs to."""
        if item is Item.COMPANY or self.person_id is None:
            return self.company_id
        return self.person_id


def _normal(text: str) -> str:
    if text.isascii():
        # All the forms of ASCII are the same; most of a million names are.
        return " ".join(text.lower().split())
    # Unicode's compatibility caseless match (D146): folding can decompose what was
    # composed, as in Greek "ΐ", and one pass would tell it from its capital.
    folded = unicodedata.normalize("NFD", text).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def lookup_digest(first_name: str, last_name: str, company_domain: str) -> str:
    """A digest of what a person is looked up by; case and spacing do not matter."""
    (digest,) = lookup_digests([first_name], [last_name], [company_domain])
    return digest


def lookup_digests(
    first_names: Sequence[str],
    last_names: Sequence[str],
    company_domains: Sequence[str],
) -> list[str]:
    """The digest of each of some persons, by what they are looked up by."""
    parts = map(_all_normal, (first_names, last_names, company_domains))
    texts = "\n".join(map("\x1f".join, zip(*parts, strict=True)))
    # No part has white space in it but single blanks, and so no end of a line.
    return [
        hashlib.sha256(text).hexdigest()[:_DIGEST_HEX]
        for text in texts.encode().split(b"\n")[: len(first_names)]
    ]


def _all_normal(texts: Sequence[str]) -> list[str]:
    """Texts without what does not matter, all at once where they are simple."""
    joined = "\n".join(texts)
    ends = joined.count("\n")
    if not texts or not joined.isascii() or ends != len(texts) - 1:
        return list(map(_normal, texts))
    lines = f"\n{joined}\n".lower()
    spaced = "  " in lines or " \n" in lines or "\n " in lines
    if spaced or not joined.replace("\n", "").isprintable():
        return list(map(_normal, texts))
    return lines[1:-1].split("\n")


def is_free(
    entitlement: Entitlement,
    item: Item,
    terms: Terms,
    since: datetime,
) -> bool:
    """Whether a use of `item` since then frees it, that instant included.

    A view frees a company where the terms count views; nothing else.
    """
    exported_at, viewed_at = entitlement.exported_at, entitlement.viewed_at
    if exported_at is not None and exported_at >= since:
        return True
    if not terms.views_count or item is not Item.COMPANY:
        return False
    return viewed_at is not None and viewed_at >= since


def stands_on(entitlement: Entitlement, since: datetime) -> int | None:
    """The charge that frees a use since then, where `is_free`."""
    exported_at = entitlement.exported_at
    if exported_at is not None and exported_at >= since:
        return entitlement.exported_by
    return entitlement.viewed_by
