"""Who may spend a license's credits (rule 7)."""

from enum import StrEnum

USER_PERMISSIONS = "user_permissions"
"""The license's feature that lets an admin disallow a user's use of credits."""


class Role(StrEnum):
    """What a user is in the license; one that nobody named is a member."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


def may_spend(
    credits_max: int,
    *,
    role: Role,
    credits_allowed: bool,
    features: frozenset[str],
) -> bool:
    """Whether this user may start what can cost up to `credits_max`.

    What costs nothing goes through for everybody. A viewer never spends; the
    others do, unless the license has the feature and an admin disallowed them.
    """
    if credits_max == 0:
        return True
    if role is Role.VIEWER:
        return False
    return credits_allowed or USER_PERMISSIONS not in features
