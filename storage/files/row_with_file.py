"""A file and the row that names it: kept together, or neither."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

from storage.database import Database
from storage.errors import ArtifactError
from storage.files.artifacts import Artifacts


@contextmanager
def kept_with_its_file(
    database: Database, artifacts: Artifacts, name: str
) -> Iterator[Connection]:
    """A transaction that keeps a file's row: where it is refused, the file goes too.

    Only what is raised inside is sure to be rolled back. Where the commit itself
    fails the row may be there, so the file stays; without a row it will be an orphan.
    """
    refused = False
    try:
        with database.transaction() as connection:
            try:
                yield connection
            except BaseException:
                refused = True
                raise
    finally:
        if refused:
            with suppress(ArtifactError):
                artifacts.remove(name)
