"""What can go wrong below: accidents as exceptions; refusals are returned values.

StorageError
├── InvariantBroken     a promise does not hold: stop the line, change nothing
├── Superseded          somebody else holds the work now: roll back, touch nothing
├── Conflict            lost a race that a second try wins
├── OtherSchema         the database is of another version than this code
└── ArtifactError       a file could not be written or read
    ├── DiskFull        no room left for it
    └── MissingArtifact the store answers, and has no such file
"""

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError

MONEY_STOPPED = "57HF1"
"""SQLSTATE: the database was restored, and nobody has said yet that it goes on."""


class StorageError(Exception):
    """Something below failed; the transaction it happened in was rolled back."""


class InvariantBroken(StorageError):
    """A promise of the ledger does not hold."""


class Superseded(StorageError):
    """The attempt that wrote is not the one that holds the work any more."""


class Conflict(StorageError):
    """Two wanted the same at once; trying again finds out what came of it."""


class OtherSchema(StorageError):
    """The database's schema is not the one that this code was written for."""


class ArtifactError(StorageError):
    """A file could not be written or read."""


class DiskFull(ArtifactError):
    """There is no room left for a file."""


class MissingArtifact(ArtifactError):
    """The store answers, and has no such file."""


def is_violation(error: IntegrityError, constraint: str) -> bool:
    """Whether it is this constraint that an error is about."""
    cause = error.orig
    return (
        isinstance(cause, psycopg.errors.IntegrityError)
        and cause.diag.constraint_name == constraint
    )


def is_money_stopped(error: DBAPIError) -> bool:
    """Whether the database refused because it was restored, and waits for a word."""
    cause = error.orig
    return isinstance(cause, psycopg.Error) and cause.sqlstate == MONEY_STOPPED
