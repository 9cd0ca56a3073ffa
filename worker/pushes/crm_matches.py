"""What a CRM has already of what is to be pushed, by the id map and by its own word.

The push and its dry run look the same way: each of ours by its key first, and never at
a record that is another of ours.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from storage.connections import id_map
from storage.connections.id_map import Entry
from storage.database import Database
from worker.connections.connectors.connector import Kind, Match, Wanted
from worker.infrastructure.ids import trimmed
from worker.pushes.field_values import Ready
from worker.pushes.record_plan import Merged, theirs_of, unclaimed

Find = Callable[[Kind, Sequence[Wanted]], Mapping[str, Match]]
"""Asks the CRM. Raises a `ConnectorError`."""


def known_of(
    database: Database, connection_id: str, kind: Kind, ready: Collection[str]
) -> dict[str, Entry]:
    """What the id map knows of these, by our ids."""
    with database.reading() as connection:
        return id_map.of(connection, connection_id, kind, ready)


def matches_of(
    database: Database,
    connection_id: str,
    kind: Kind,
    ready: Sequence[Ready],
    *,
    known: Mapping[str, Entry],
    find: Find,
) -> dict[str, Match | Merged]:
    """What the CRM has of these, by our ids; it is asked with no transaction open."""
    wanted = [
        one.wanted._replace(their_id=known[one.wanted.id].their_id)
        if one.wanted.id in known
        else one.wanted
        for one in ready
    ]
    if not wanted:
        return {}
    found = find(kind, wanted)
    if not found:
        return {}
    with database.reading() as connection:
        owners = id_map.ours(connection, connection_id, kind, theirs_of(found))
    # One of before may have white space around its id, and is the same.
    own = {trimmed(one.wanted.id): one.wanted.id for one in ready}
    return unclaimed(
        found,
        {theirs: own.get(trimmed(our_id), our_id) for theirs, our_id in owners.items()},
    )
