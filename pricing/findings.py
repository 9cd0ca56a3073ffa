"""What counts as found: e-mail statuses, the level a buyer accepts, `only_with`.

Rule 10: an address found at a level that the buyer did not accept was not found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class EmailStatus(StrEnum):
    """What is known of an address; a missing status means unknown."""

    VALID = "valid"
    PROBABLE = "probable"
    ACCEPT_ALL = "accept_all"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    DISPOSABLE = "disposable"
    OBJECTED = "objected"


class EmailLevel(StrEnum):
    """The level up to which a buyer accepts, and pays for, an address."""

    VERIFIED = "verified"
    ACCEPT_ALL = "accept_all"


class OnlyWith(StrEnum):
    """Which persons a job delivers; company-only records always pass."""

    EMAIL = "email"
    VERIFIED_EMAIL = "verified_email"


_ACCEPTED = {
    EmailLevel.VERIFIED: frozenset({EmailStatus.VALID}),
    EmailLevel.ACCEPT_ALL: frozenset(
        {EmailStatus.VALID, EmailStatus.PROBABLE, EmailStatus.ACCEPT_ALL},
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """An e-mail and a phone as found for one person, before any level is applied.

    `email_by` and `phone_by` say which provider found them; they make no difference.
    """

    email: str | None = None
    email_status: EmailStatus = EmailStatus.UNKNOWN
    phone: str | None = None
    email_by: str | None = field(default=None, compare=False)
    phone_by: str | None = field(default=None, compare=False)


NOTHING = Finding()


def accepted(
    finding: Finding, level: EmailLevel, *, email: bool, phone: bool
) -> Finding:
    """What of a finding may be disclosed and paid for, and nothing else.

    `email` and `phone` say what the job retrieves. A person who objected is found
    nowhere, by phone neither.
    """
    if finding.email_status is EmailStatus.OBJECTED:
        return NOTHING
    keep_email = email and finding.email and finding.email_status in _ACCEPTED[level]
    return Finding(
        email=finding.email if keep_email else None,
        email_status=finding.email_status if keep_email else EmailStatus.UNKNOWN,
        phone=(finding.phone or None) if phone else None,
        email_by=finding.email_by,
        phone_by=finding.phone_by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumns:
    """Findings of many persons; what stands at one place of each column is one's."""

    emails: Sequence[str | None]
    email_statuses: Sequence[EmailStatus]
    phones: Sequence[str | None]
    email_by: Sequence[str | None]
    phone_by: Sequence[str | None]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "FoundColumns":
        """The columns of these findings."""
        found = list(findings)
        return cls(
            emails=[one.email for one in found],
            email_statuses=[one.email_status for one in found],
            phones=[one.phone for one in found],
            email_by=[one.email_by for one in found],
            phone_by=[one.phone_by for one in found],
        )

    @classmethod
    def nothing(cls, count: int) -> "FoundColumns":
        """Nothing, found of so many."""
        none = (None,) * count
        unknown = (EmailStatus.UNKNOWN,) * count
        return cls(
            emails=none,
            email_statuses=unknown,
            phones=none,
            email_by=none,
            phone_by=none,
        )

    def of_places(self, places: Sequence[int]) -> "FoundColumns":
        """What was found of those at some places, in their order."""
        if len(places) == len(self.emails):
            return self
        return FoundColumns.of(self.at(place) for place in places)

    def at(self, place: int) -> Finding:
        """What was found of one."""
        return Finding(
            email=self.emails[place],
            email_status=self.email_statuses[place],
            phone=self.phones[place],
            email_by=self.email_by[place],
            phone_by=self.phone_by[place],
        )

    def accepted(
        self, level: EmailLevel, *, email: bool, phone: bool
    ) -> "FoundColumns":
        """What `accepted` leaves of each; it is asked once for all that look alike."""
        alike: dict[tuple[bool, EmailStatus, bool], Finding] = {}
        left: list[Finding] = []
        for key in zip(
            map(bool, self.emails),
            self.email_statuses,
            map(bool, self.phones),
            strict=True,
        ):
            one = alike.get(key)
            if one is None:
                seen = Finding(
                    _SOME if key[0] else None, key[1], _SOME if key[2] else None
                )
                one = alike[key] = accepted(seen, level, email=email, phone=phone)
            left.append(one)
        return FoundColumns(
            emails=_left(self.emails, [one.email for one in left]),
            email_statuses=[one.email_status for one in left],
            phones=_left(self.phones, [one.phone for one in left]),
            email_by=self.email_by,
            phone_by=self.phone_by,
        )


_SOME = "some"
"""Stands for any address or number: which one makes no difference."""


def _left(
    column: Sequence[str | None], left: Sequence[str | None]
) -> Sequence[str | None]:
    return [
        None if some is None else one for one, some in zip(column, left, strict=True)
    ]


def passes(finding: Finding, only_with: OnlyWith | None) -> bool:
    """Whether a person with this accepted finding is delivered at all."""
    match only_with:
        case None:
            return True
        case OnlyWith.EMAIL:
            return finding.email is not None
        case OnlyWith.VERIFIED_EMAIL:
            return (
                finding.email is not None and finding.email_status is EmailStatus.VALID
            )
