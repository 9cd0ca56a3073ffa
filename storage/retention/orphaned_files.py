"""Files that no row names: a writer that was killed has left them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, text


def long_ago(connection: Connection, *, after_s: float) -> datetime:
    """The instant so many seconds ago, by the clock that files are written by."""
    found: datetime = connection.execute(
        text("SELECT holdfast_confirmed_clock() - make_interval(secs => :after_s)"),
        {"after_s": after_s},
    ).scalar_one()
    return found


def orphans(connection: Connection, names: Collection[str]) -> list[str]:
    """Which of these old files nothing needs: no row names them, no job still works.

    A job's files lie in a folder of its id. While it is under way all of them stay:
    it may be sealing one whose name no row holds yet. A manifest is needed as long as
    the file beside it.
    """
    return list(
        connection.execute(
            text("""
                SELECT found.name
                  FROM unnest(CAST(:names AS text[])) AS found (name)
                  LEFT JOIN jobs AS j
                    ON found.name LIKE 'jobs/%'
                   AND j.id = split_part(found.name, '/', 2) COLLATE "C"
                 WHERE NOT EXISTS (SELECT 1 FROM uploads WHERE artifact = found.name)
                   AND NOT EXISTS (SELECT 1 FROM uploads WHERE raw = found.name)
                   AND NOT EXISTS (
                       SELECT 1 FROM uploads WHERE problem_file = found.name)
                   AND NOT EXISTS (SELECT 1 FROM quotes WHERE input = found.name)
                   AND (j.id IS NULL OR (j.finished_at IS NOT NULL
                     AND j.file_artifact IS DISTINCT FROM found.name
                     AND (j.file_artifact IS NULL
                          OR found.name <> 'jobs/' || j.id || '/manifest.json')
                     AND (j.parts_removed_at IS NOT NULL OR NOT EXISTS (
                          SELECT 1 FROM parts WHERE parts.name = found.name))))"""),
            {"names": list(names)},
        ).scalars(),
    )
