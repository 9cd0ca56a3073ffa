"""What counts as found: e-mail statuses, the level a buyer accepts, `only_with`.

Rule 10: an address found at a level that the buyer did not accept was not found.
"""

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
