"""What a quote checks of a push: its connection, its mapping, its owner, its values.

All of it before anything can be submitted, as far as the CRM says. Where it cannot be
asked, the push itself checks before it sends, and parks.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

from sqlalchemy import Connection

from storage.connections import connections
from storage.connections.connections import CrmConnection
from storage.quotes import quotes
from worker.connections import connector_registry, crm_fields
from worker.connections.connection_opener import ConnectionOpener
from worker.connections.connectors.connector import Kind
from worker.connections.connectors.errors import ConnectorError, Misconfigured
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import BadInput, Code, Problem, Refused, bad
from worker.pushes.mapping_checks import OptionValues, lacking, misfits
from worker.pushes.push_options import Push, sources_of
from worker.quotes.readers.record_columns import Records

UNKNOWN_OWNER = "unknown_owner"


def connected(
    connection: Connection, request: quotes.Request, push: Push
) -> CrmConnection:
    """The connection that a push goes to; the license's own. Raises `Refused`."""
    found = connections.get(connection, push.connection_id)
    if found is None or found.license_id != request.license_id:
        raise Refused(Code.NOT_FOUND, f"there is no connection {push.connection_id}")
    return found


def quote_check(
    deps: Deps, crms: ConnectionOpener, request: quotes.Request, push: Push
) -> "PushQuoteCheck":
    """The check of a push whose records are about to be read.

    Raises `Refused` without the connection, `BadInput` where the CRM has no such owner.
    """
    with deps.database.transaction() as connection:
        found = connected(connection, request, push)
    if push.owner is not None:
        _check_owner(crms, found, push.owner)
    return PushQuoteCheck(crms, request, push, found)


class PushQuoteCheck:
    """The check of one push, while its records are read and once they are."""

    def __init__(
        self,
        crms: ConnectionOpener,
        request: quotes.Request,
        push: Push,
        found: CrmConnection,
    ) -> None:
        self._crms = crms
        self._found = found
        self._push = push
        self._retrieve = request.retrieve
        self._offer = connector_registry.OFFERS[found.connector]
        self._fields = crm_fields.known_fields(crms, found)
        self._options = OptionValues(push, request.retrieve, self._fields)

    def look_at(self, batch: Records) -> None:
        """Look at the values of some records."""
        if not self._push.reject_invalid:
            self._options.look_at(batch)

    def left_out(self, batch: Records) -> AbstractSet[int]:
        """None: what a push does without shows when it looks into the CRM."""
        del batch
        return frozenset()

    def end(self, columns: Sequence[str]) -> None:
        """Raise `BadInput` where the mapping does not fit, or a value did not."""
        self._push.check(columns, self._retrieve, self._offer.defaults)
        problems = self._problems(columns)
        if problems:
            # The field may have been made since the CRM was asked.
            self._fields = crm_fields.known_fields(self._crms, self._found, within_s=0)
            problems = self._problems(columns)
        if problems:
            raise BadInput(problems)
        self._options.raise_if_any()

    def _problems(self, columns: Sequence[str]) -> list[Problem]:
        return [
            Problem(0, f"push.mapping.{kind}", message)
            for kind in Kind
            for message in self._misfits(kind, columns)
        ]

    def _misfits(self, kind: Kind, columns: Sequence[str]) -> list[str]:
        if self._fields is None:
            return []
        known = sources_of(columns, self._retrieve)
        targets = self._push.targets(kind, self._offer.defaults[kind], known)
        fields = self._fields[kind]
        found = [misfit.message for misfit in misfits(kind, targets, fields)]
        return found + [
            f"the CRM requires {name!r}, and nothing fills it"
            for name in lacking(targets, fields)
            # Where no record has a person, nobody misses a person's name.
            if kind is Kind.COMPANY or "person_id" in columns
        ]


def _check_owner(crms: ConnectionOpener, found: CrmConnection, owner: str) -> None:
    with suppress(ConnectorError):
        try:
            crm_fields.opened(crms, found).owner(owner)
        except Misconfigured as error:
            if error.code == UNKNOWN_OWNER:
                raise bad("push.owner", str(error)) from error
