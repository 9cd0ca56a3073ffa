"""Who may spend a license's credits (rule 7)."""

import pytest

from pricing.permission import USER_PERMISSIONS, Role, may_spend

WITH = frozenset({USER_PERMISSIONS})
WITHOUT: frozenset[str] = frozenset()

TABLE = [
    # role, credits allowed, features, may spend
    (Role.ADMIN, True, WITHOUT, True),
    (Role.ADMIN, True, WITH, True),
    (Role.ADMIN, False, WITHOUT, True),
    (Role.ADMIN, False, WITH, False),
    (Role.MEMBER, True, WITHOUT, True),
    (Role.MEMBER, True, WITH, True),
    (Role.MEMBER, False, WITHOUT, True),
    (Role.MEMBER, False, WITH, False),
    (Role.VIEWER, True, WITHOUT, False),
    (Role.VIEWER, True, WITH, False),
    (Role.VIEWER, False, WITHOUT, False),
    (Role.VIEWER, False, WITH, False),
]


def _may_spend(credits_max, role, allowed, features) -> bool:
    return may_spend(credits_max, role=role, credits_allowed=allowed, features=features)


@pytest.mark.parametrize(("role", "allowed", "features", "may"), TABLE)
def test_who_may_spend(role, allowed, features, may):
    assert _may_spend(1, role, allowed, features) is may


@pytest.mark.parametrize(("role", "allowed", "features", "may"), TABLE)
def test_what_costs_nothing_goes_through_for_everybody(role, allowed, features, may):
    assert _may_spend(0, role, allowed, features)


def test_the_table_meets_every_case_once():
    cases = [row[:3] for row in TABLE]
    assert len(cases) == len(set(cases)) == len(Role) * 2 * 2


def test_another_feature_lets_nobody_be_disallowed():
    assert _may_spend(5, Role.MEMBER, allowed=False, features=frozenset({"exports"}))
