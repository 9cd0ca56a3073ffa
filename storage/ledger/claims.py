"""Delivered claims as a batch hands them to the settlement: singly, or by columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pricing.plans import Item


class Claim(NamedTuple):
    """One delivered claim, to settle at `credits`, or at 0 if paid meanwhile."""

    item: Item
    subject: str
    digest: str
    credits: int
    unchanged: bool = False
    provider: str | None = None
    """Who found what is charged for, where somebody had to."""
    also: str | None = None
    """The other digest of an id that the directory knows: it is free by either."""


@dataclass(frozen=True, slots=True)
class ClaimColumns:
    """Delivered claims to settle: what stands at one place of each column is a claim.

    Items are as `Item` spells them; the rest means what it does in `Claim`.
    """

    items: Sequence[str]
    subjects: Sequence[str]
    digests: Sequence[str]
    credits: Sequence[int]
    also: Sequence[str | None]
    providers: Sequence[str | None]

    def __len__(self) -> int:
        """How many claims they are."""
        return len(self.items)

    @classmethod
    def of(cls, claims: Sequence[Claim]) -> "ClaimColumns":
        """The columns of these claims."""
        return cls(
            items=[claim.item for claim in claims],
            subjects=[claim.subject for claim in claims],
            digests=[claim.digest for claim in claims],
            credits=[claim.credits for claim in claims],
            also=[claim.also for claim in claims],
            providers=[claim.provider for claim in claims],
        )

    def at(self, places: Sequence[int]) -> "ClaimColumns":
        """The claims at these places, in their order."""
        return ClaimColumns(
            items=[self.items[place] for place in places],
            subjects=[self.subjects[place] for place in places],
            digests=[self.digests[place] for place in places],
            credits=[self.credits[place] for place in places],
            also=[self.also[place] for place in places],
            providers=[self.providers[place] for place in places],
        )

    def have_one_digest_each(self) -> bool:
        """Whether no two of them are of the same item and subject."""
        return len(set(zip(self.items, self.subjects, strict=True))) == len(self)

    def distinct(self) -> "ClaimColumns":
        """One of each item, subject and digest: the first.

        What is claimed twice in a batch was quoted at one price. A digest that another
        claim stands for is left to that one.
        """
        keys = list(zip(self.items, self.subjects, self.digests, strict=True))
        claimed = set(keys)
        kept = self
        if len(claimed) < len(keys):
            first = {key: place for place, key in reversed(list(enumerate(keys)))}
            kept = self.at(sorted(first.values()))
        if kept.also.count(None) == len(kept):
            return kept
        also = [
            None if (item, subject, other) in claimed else other
            for item, subject, other in zip(
                kept.items, kept.subjects, kept.also, strict=True
            )
        ]
        return replace(kept, also=also)


NO_CLAIMS = ClaimColumns((), (), (), (), (), ())
