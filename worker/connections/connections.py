"""Connections: a license's access to a CRM, made, tested, listed and taken away."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from storage.connections import connections
from storage.connections.connections import CrmConnection
from storage.licenses import licenses
from storage.licenses.idempotency_keys import Once
from worker.connections import connection_checks
from worker.connections.connection_opener import ConnectionDeps
from worker.connections.connectors.errors import (
    ConnectorError,
    Misconfigured,
    Throttled,
    Unauthorized,
)
from worker.infrastructure.errors import (
    Code,
    ForbiddenTarget,
    NotConfigured,
    Refused,
    bad,
)
from worker.infrastructure.ids import check_name, new_id


def create(
    deps: ConnectionDeps,
    license_id: str,
    connector: str,
    name: str,
    *,
    settings: dict[str, Any],
    secrets: dict[str, str],
    once: Once | None = None,
) -> CrmConnection:
    """Make a connection; its CRM is not asked.

    Raises `BadInput` where a setting is missing or unknown, or leads to where nobody
    may be sent, `Refused` without a license, and `NotConfigured` without a Redis.
    """
    if deps.settings.limits_url is None:
        raise NotConfigured("HOLDFAST_REDIS_URL is not set: connections need it")
    check_name(name)
    connection_checks.check(connector, settings, secrets)
    check_url(deps, settings)
    sealed = deps.crms.seal(secrets)
    with deps.database.transaction() as connection:
        if licenses.get(connection, license_id) is None:
            raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
        made = connections.create(
            connection,
            new_id("connection"),
            license_id,
            connector=connector,
            name=name,
            settings=settings,
            secrets=sealed,
        )
        if once is not None:
            once(connection, made.id)
    return made


def check_url(deps: ConnectionDeps, settings: Mapping[str, Any]) -> None:
    """Raise `BadInput` where a CRM's address leads to where nobody may be sent."""
    if "url" in settings:
        try:
            deps.crms.outbound.check(settings["url"])
        except ForbiddenTarget as error:
            raise bad("settings.url", str(error)) from error


def get(deps: ConnectionDeps, connection_id: str) -> CrmConnection:
    """A connection. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        found = connections.get(connection, connection_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no connection {connection_id}")
    return found


def delete(deps: ConnectionDeps, connection_id: str) -> CrmConnection:
    """Take a connection away, with its secrets; what it wrote stays in the CRM.

    Raises `Refused` while a job needs it.
    """
    found = get(deps, connection_id)
    with deps.database.transaction() as connection:
        job_id = connections.open_job(connection, connection_id)
        if job_id is not None:
            detail = f"{job_id} still pushes to it: cancel it, or wait for its end"
            raise Refused(Code.WRONG_STATE, detail)
        connections.delete(connection, connection_id)
    return found


def reconnect(
    deps: ConnectionDeps, connection_id: str, secrets: dict[str, str]
) -> CrmConnection:
    """Give a connection other secrets; its jobs that waited for them go on.

    Raises `BadInput`, and `Refused` where there is no such connection.
    """
    found = get(deps, connection_id)
    connection_checks.check(found.connector, found.settings, secrets)
    with deps.database.transaction() as connection:
        connections.reconnect(connection, connection_id, deps.crms.seal(secrets))
    return get(deps, connection_id)


class Tested(NamedTuple):
    """What a test of a connection came to; code and detail where it failed."""

    connection: CrmConnection
    ok: bool
    code: str | None = None
    detail: str | None = None


def test(deps: ConnectionDeps, connection_id: str) -> Tested:
    """Ask the CRM something harmless, and note whether the connection works."""
    found = get(deps, connection_id)
    error = _asked(deps, found)
    if error is None or isinstance(error, Unauthorized):
        with deps.database.transaction() as connection:
            if error is None:
                connections.works(connection, connection_id)
            else:
                connections.needs_reconnect(connection, connection_id, error.version)
        found = get(deps, connection_id)
    if error is None:
        return Tested(found, ok=True)
    return Tested(found, ok=False, code=code_of(error), detail=str(error))


def _asked(deps: ConnectionDeps, found: CrmConnection) -> ConnectorError | None:
    """How asking a CRM fails, if it does."""
    try:
        with deps.crms.open(found, lambda: None).asking() as connector:
            connector.test()
    except ConnectorError as error:
        return error
    return None


def code_of(error: ConnectorError) -> str:
    """The stable code of what went wrong with a CRM."""
    match error:
        case Unauthorized():
            return Code.UNAUTHORIZED
        case Misconfigured(code=code):
            return code
        case Throttled():
            return Code.RATE_LIMITED
    return Code.UNAVAILABLE
