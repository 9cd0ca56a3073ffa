"""Licenses and their users: who pays, and who may spend."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, text, update
from sqlalchemy.dialects.postgresql import insert

from pricing.permission import Role
from pricing.plans import PaymentTerm, Plan
from storage import tables


class CreateResult(StrEnum):
    """What became of a license to be created."""

    CREATED = "created"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_CONTENT = "exists_with_different_content"


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """The paying account; its credits are shared by all its users.

    `credits` are granted at the start of each period.
    """

    id: str
    name: str
    plan: Plan
    payment_term: PaymentTerm
    credits: int
    features: frozenset[str]
    starts_at: datetime
    weight: float = 1.0
    """How many times the share of others its chunks have, while theirs wait too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of one license."""

    id: str
    role: Role
    credits_allowed: bool


def business_now(connection: Connection) -> datetime:
    """The instant that windows, periods and expiries are measured by."""
    now: datetime = connection.execute(text("SELECT holdfast_now()")).scalar_one()
    return now


def create(
    connection: Connection,
    wanted: License,
    *,
    starts_at_given: bool,
) -> CreateResult:
    """Create a license, once; the same again changes nothing.

    Where no start was given, the existing license's own start is not compared.
    """
    created = connection.execute(
        insert(tables.licenses)
        .values(
            id=wanted.id,
            name=wanted.name,
            plan=wanted.plan.value,
            payment_term=wanted.payment_term.value,
            credits=wanted.credits,
            features=sorted(wanted.features),
            starts_at=wanted.starts_at,
            anchor_at=wanted.starts_at,
            anchor_term=wanted.payment_term.value,
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(tables.licenses.c.id),
    ).one_or_none()
    if created is not None:
        return CreateResult.CREATED
    existing = get(connection, wanted.id)
    same = existing is not None and (
        existing.name == wanted.name
        and existing.plan is wanted.plan
        and existing.payment_term is wanted.payment_term
        and existing.credits == wanted.credits
        and existing.features == wanted.features
        and (existing.starts_at == wanted.starts_at or not starts_at_given)
    )
    if same:
        return CreateResult.EXISTS
    return CreateResult.EXISTS_WITH_DIFFERENT_CONTENT


def get(connection: Connection, license_id: str) -> License | None:
    """The license of this id."""
    table = tables.licenses
    row = connection.execute(
        select(table).where(table.c.id == license_id),
    ).one_or_none()
    if row is None:
        return None
    return _license(row)


def _license(row: Row[Any]) -> License:
    return License(
        id=row.id,
        name=row.name,
        plan=Plan(row.plan),
        payment_term=PaymentTerm(row.payment_term),
        credits=row.credits,
        features=frozenset(row.features),
        starts_at=row.starts_at,
        weight=float(row.weight),
    )


def every(connection: Connection, *, after: str, limit: int) -> list[License]:
    """Licenses in the order of their ids, after one of them."""
    table = tables.licenses
    rows = connection.execute(
        select(table).where(table.c.id > after).order_by(table.c.id).limit(limit),
    )
    return [_license(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be changed of a license; None leaves it.

    Plan and term count for new quotes, credits from the next period.
    """

    plan: Plan | None = None
    payment_term: PaymentTerm | None = None
    credits: int | None = None
    features: frozenset[str] | None = None


def change(connection: Connection, license_id: str, change: Change) -> None:
    """Change a license that exists."""
    values = {
        "plan": change.plan.value if change.plan else None,
        "payment_term": change.payment_term.value if change.payment_term else None,
        "credits": change.credits,
        "features": None if change.features is None else sorted(change.features),
    }
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        connection.execute(
            update(tables.licenses)
            .where(tables.licenses.c.id == license_id)
            .values(**given),
        )


def users_of(
    connection: Connection, license_id: str, *, after: str, limit: int
) -> list[User]:
    """The users that were named, in the order of their ids."""
    table = tables.users
    rows = connection.execute(
        select(table)
        .where(table.c.license_id == license_id, table.c.id > after)
        .order_by(table.c.id)
        .limit(limit),
    )
    return [
        User(id=row.id, role=Role(row.role), credits_allowed=row.credits_allowed)
        for row in rows
    ]


def put_user(connection: Connection, license_id: str, user: User) -> None:
    """Say who a user is; whoever was never named is a member with credits allowed."""
    statement = insert(tables.users).values(
        license_id=license_id,
        id=user.id,
        role=user.role.value,
        credits_allowed=user.credits_allowed,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["license_id", "id"],
            set_={
                "role": statement.excluded.role,
                "credits_allowed": statement.excluded.credits_allowed,
            },
        ),
    )


class Spender(NamedTuple):
    """A user, and the features of the license that it would spend for."""

    user: User
    features: frozenset[str]


_SPENDER = text("""
SELECT features, users.role, users.credits_allowed
  FROM licenses LEFT JOIN users
    ON users.license_id = licenses.id AND users.id = :user_id
 WHERE licenses.id = :license_id
""")


def spender(connection: Connection, license_id: str, user_id: str) -> Spender | None:
    """A user of a license, as it knows it; None where there is no license."""
    found = connection.execute(
        _SPENDER, {"license_id": license_id, "user_id": user_id}
    ).one_or_none()
    if found is None:
        return None
    user = User(id=user_id, role=Role.MEMBER, credits_allowed=True)
    if found.role is not None:
        user = User(
            id=user_id, role=Role(found.role), credits_allowed=found.credits_allowed
        )
    return Spender(user, frozenset(found.features))
