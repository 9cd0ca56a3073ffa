"""What an installation stands on, tried one after the other.

Each check says what it would run on, and whether that does. None changes anything but
for a file of its own, which is removed again.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from redis import Redis, RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageError
from storage.ledger import business_clock
from storage.migrations.schema_version import is_migrated
from storage.retention import secret_rotation
from worker.embedded import valkey
from worker.embedded.errors import EmbeddedError
from worker.findings.provider_names import DIRECTORY, check_limits, order_of
from worker.findings.provider_registry import ProviderRegistry, rates_of
from worker.infrastructure.broker_probe import broker_answers
from worker.infrastructure.clock import wall_s
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.keyring import Undecipherable
from worker.ledger.business_clock import state_of

_POSTGRES_LEAST = 15
_REDIS_LEAST = (6, 2)
_CLOCKS_APART_S = 60.0
_WITHIN_S = 2.0
_MESSAGE_LINES = 1


class Failed(Exception):
    """A check that found what does not do; says what, and what to do."""


class Checked(NamedTuple):
    """A part of the installation, whether it does, and what was found."""

    part: str
    ok: bool
    detail: str


def every(deps: Deps) -> Iterator[Checked]:
    """Try each part in turn; a failure hides none of those after it."""
    for part, check in _CHECKS.items():
        try:
            yield Checked(part, ok=True, detail=check(deps))
        except _EXPECTED as error:
            lines = str(getattr(error, "orig", None) or error).splitlines()
            yield Checked(part, ok=False, detail="; ".join(lines[:_MESSAGE_LINES]))


def _settings(deps: Deps) -> str:
    unknown = deps.settings.unknown
    if unknown:
        hints = [
            f"{name} is none{f' (did you mean {nearest}?)' if nearest else ''}"
            for name, nearest in unknown.items()
        ]
        raise Failed("; ".join(hints))
    return "each HOLDFAST_ variable is one"


def _database(deps: Deps) -> str:
    with deps.database.transaction() as connection:
        version = str(connection.scalar(text("SHOW server_version")))
        if int(version.partition(".")[0]) < _POSTGRES_LEAST:
            raise Failed(f"PostgreSQL {version} is too old: {_POSTGRES_LEAST} or newer")
        if not is_migrated(connection):
            raise Failed("the schema is not the newest: holdfast migrate")
        lacking = _without_rights(connection)
        if lacking:
            raise Failed(
                f"no right to {', '.join(lacking)}: let the owner of the tables GRANT "
                "SELECT, INSERT, UPDATE, DELETE on all of them"
            )
    url = deps.database.url
    place = f"{url.host or url.query.get('host', 'a socket')}, {url.database}"
    return f"PostgreSQL {version} at {place}, migrated"


def _without_rights(connection: Connection) -> list[str]:
    """What must not be done to a table of ours: the first few, in words."""
    rows = connection.execute(
        text("""
            SELECT format('%s %s', wanted, relname)
              FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS wanted
             WHERE relkind IN ('r', 'p') AND relnamespace = current_schema::regnamespace
               AND NOT has_table_privilege(pg_class.oid, wanted)
             ORDER BY relname LIMIT 3""")
    )
    return list(rows.scalars())


def _broker(deps: Deps) -> str:
    url = deps.settings.broker_url
    if not url:
        valkey.program()
        return "the home's own Valkey, which `holdfast up` starts"
    if not broker_answers(deps.settings):
        raise Failed(f"{_place(url)} does not answer: see HOLDFAST_BROKER_URL")
    return f"{_place(url)} answers"


def _redis(deps: Deps) -> str:
    check_limits(deps.settings)
    url = deps.settings.limits_url
    if url is None:
        return "none: each process counts requests for itself, no provider is asked"
    client = Redis.from_url(
        url.replace("redis+socket://", "unix://"),
        socket_timeout=_WITHIN_S,
        socket_connect_timeout=_WITHIN_S,
    )
    try:
        version = str(client.info("server")["redis_version"])
    finally:
        client.close()
    if tuple(map(int, version.split(".")[:2])) < _REDIS_LEAST:
        raise Failed(f"Redis {version} is too old: 6.2 or newer")
    return f"Redis {version} at {_place(url)}"


def _files(deps: Deps) -> str:
    name = f"checks/{secrets.token_hex(8)}"
    try:
        with deps.artifacts.create(name) as draft:
            draft.write(name.encode())
        with deps.artifacts.open(name) as stream:
            if stream.read() != name.encode():
                raise Failed("a file that was written is read otherwise")
    finally:
        with suppress(StorageError):
            deps.artifacts.remove(name)
    return f"{_place(deps.settings.store_url)} takes, gives and removes files"


def _clock(deps: Deps) -> str:
    with deps.database.transaction() as connection:
        reading = business_clock.read(connection)
    apart_s = reading.clock_at.timestamp() - wall_s()
    if abs(apart_s) > _CLOCKS_APART_S:
        raise Failed(
            f"the database's clock and this machine's are {abs(apart_s):.0f} s apart"
        )
    if state_of(reading) != "ok":
        raise Failed("business time is held back: holdfast clock")
    return f"within {abs(apart_s):.1f} s of the database's, offset {reading.offset_s:g}"


def _providers(deps: Deps) -> str:
    for name in order_of(deps.settings):
        if name != DIRECTORY:
            rates_of(deps.settings, name)
    registry = ProviderRegistry(deps.settings)
    try:
        return f"{', '.join(registry.order)}; their keys are set, none was asked"
    finally:
        registry.close()


def _keys(deps: Deps) -> str:
    with deps.database.transaction() as connection:
        sealed = secret_rotation.every(connection)
    unreadable = 0
    for one in sealed:
        try:
            deps.keyring.decrypt(one.secret)
        except Undecipherable:
            unreadable += 1
    if unreadable:
        raise Failed(
            f"{unreadable} of {len(sealed)} kept secrets fit none of the secret keys: "
            "set HOLDFAST_SECRET_KEYS as before, or put secret.key back into the home"
        )
    return f"{len(sealed)} kept secrets, all readable"


def _place(url: str) -> str:
    """A URL without who signs in."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


_EXPECTED = (
    *(Failed, NotConfigured, StorageError, EmbeddedError),
    *(SQLAlchemyError, RedisError, OSError),
)

_CHECKS: dict[str, Callable[[Deps], str]] = {
    "settings": _settings,
    "database": _database,
    "broker": _broker,
    "redis": _redis,
    "files": _files,
    "clock": _clock,
    "providers": _providers,
    "keys": _keys,
}
