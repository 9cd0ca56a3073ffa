"""Our own directory as a provider: the id alone decides."""

from collections.abc import Callable, Collection, Mapping, Sequence

from pricing.findings import Finding
from pricing.plans import Item
from worker.findings.providers.provider import Person

LookUp = Callable[[Collection[str]], Mapping[str, Finding]]


class Directory:
    """Looks persons up in our data, through the function it is given."""

    name = "directory"

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    def find(
        self,
        persons: Sequence[Person],
        items: Sequence[Item],  # noqa: ARG002 - one look-up answers for all items
    ) -> Mapping[str, Finding]:
        """What the directory holds; settlement sees to what was asked for."""
        return self._look_up({person.id for person in persons})
