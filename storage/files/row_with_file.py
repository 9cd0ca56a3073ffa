"""Files and the row that names them: kept together, or neither."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

from storage.database import Database
from storage.errors import ArtifactError
from storage.files.artifacts import Artifacts


@contextmanager
def kept_with_its_file(
    database: Database, artifacts: Artifacts, *names: str
) -> Iterator[Connection]:
    """A transaction that keeps files' row: where it is refused, the files go too.

    Only what is raised inside is sure to be rolled back. Where the commit itself
    fails the row may be there, so the files stay; without a row they will be orphans.
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
            for name in names:
                with suppress(ArtifactError):
                    artifacts.remove(name)
