"""Our own directory as a provider: the id alone decides."""

from collections.abc import Callable, Collection, Mapping, Sequence

from pricing.findings import EmailStatus, Finding, FoundColumns

NAME = "directory"

Known = tuple[str | None, EmailStatus, str | None]
"""An address, its status, and a phone number, as the directory holds them."""

LookUp = Callable[[Collection[str]], Mapping[str, Known]]

_UNKNOWN: Known = (None, EmailStatus.UNKNOWN, None)


class Directory:
    """Looks persons up in our data, through the function it is given."""

    name = NAME

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    def find(self, persons: Collection[str]) -> Mapping[str, Finding]:
        """What the directory holds of those that it knows, whatever was asked for."""
        return {
            person_id: Finding(*known, NAME, NAME)
            for person_id, known in self._look_up(persons).items()
        }

    def columns(self, persons: Sequence[str | None]) -> FoundColumns:
        """The same of each; nothing of those that it does not know, and of None."""
        known = self._look_up({one for one in persons if one is not None})
        found = [known.get(one or "", _UNKNOWN) for one in persons]
        by = (NAME,) * len(found)
        return FoundColumns(
            emails=[email for email, _, _ in found],
            email_statuses=[status for _, status, _ in found],
            phones=[phone for _, _, phone in found],
            email_by=by,
            phone_by=by,
        )
