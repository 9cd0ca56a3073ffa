"""What fields a CRM has, for whoever maps to them, and for checking mappings.

Each process remembers for a while what it was told: a quote must not cost the customer
a request for every field list. A CRM that cannot be asked just now keeps nobody from
quoting: what it said last is used, and before anything is sent it is asked again.
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from storage.connections.connections import CrmConnection
from worker.connections.connection_opener import ConnectionOpener
from worker.connections.connectors.connector import Connector, Field, Kind
from worker.connections.connectors.errors import (
    ConnectorError,
    Misconfigured,
    Throttled,
    Unauthorized,
)
from worker.infrastructure.clock import monotonic_s
from worker.infrastructure.errors import Code, Refused

log = logging.getLogger(__name__)

_FRESH_S = 60.0

Fields = Mapping[Kind, Mapping[str, Field] | None]
"""A CRM's fields by name; None where it takes whatever name it is given."""


class Discovered(NamedTuple):
    """What a CRM said of its fields, and when on this process's own clock."""

    fields: Fields
    at_s: float


def fields_of(crms: ConnectionOpener, found: CrmConnection) -> Fields:
    """The fields that a CRM has now. Raises `Refused` where it cannot be asked."""
    try:
        return _ask(crms, found)
    except ConnectorError as error:
        raise _refused(error) from error


def known_fields(
    crms: ConnectionOpener, found: CrmConnection, *, within_s: float = _FRESH_S
) -> Fields | None:
    """The fields as a CRM said not long ago; None where it has never said."""
    known: Discovered | None = crms.discovered.get(found.id)
    if known is not None and monotonic_s() - known.at_s < within_s:
        return known.fields
    try:
        return _ask(crms, found)
    except ConnectorError as error:
        log.info("%s says nothing of its fields: %s", found.id, error)
        return known.fields if known else None


def opened(crms: ConnectionOpener, found: CrmConnection) -> Connector:
    """What asks a connection's CRM for somebody who waits. Raises `ConnectorError`."""
    return crms.open(found, lambda: None).connector


def _ask(crms: ConnectionOpener, found: CrmConnection) -> Fields:
    connector = opened(crms, found)
    fields = {kind: connector.fields(kind) for kind in Kind}
    crms.discovered[found.id] = Discovered(fields, monotonic_s())
    return fields


def _refused(error: ConnectorError) -> Refused:
    match error:
        case Unauthorized() | Misconfigured():
            return Refused(Code.WRONG_STATE, str(error))
        case Throttled(until_s=until_s):
            return Refused(
                Code.RATE_LIMITED, str(error), retry_after_s=int(until_s) + 1
            )
    return Refused(Code.UNAVAILABLE, str(error))
