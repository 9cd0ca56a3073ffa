"""What is said of an accident, whichever library has noticed it."""

from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from storage.errors import StorageError, is_money_stopped
from worker.embedded.errors import EmbeddedError
from worker.infrastructure.environment.settings_reader import WrongSettings
from worker.infrastructure.errors import NotConfigured

_UNDEFINED_TABLE = "42P01"


def wrong_settings(error: Exception) -> list[str]:
    """A sentence for each setting that cannot be used."""
    if not isinstance(error, WrongSettings):
        return []
    return [f"{name}: {why}" for name, why in error.problems.items()]


def sentence_of(error: Exception) -> str | None:
    """What has failed, in a sentence; None for what nobody has foreseen."""
    match error:
        case NotConfigured() | StorageError() | EmbeddedError():
            return str(error)
        case ArgumentError():
            return f"HOLDFAST_DATABASE_URL: {error}"
        case OperationalError() if is_money_stopped(error):
            return str(error.orig).splitlines()[0]
        case OperationalError():
            return f"the database does not answer: {error.orig}"
        case ProgrammingError() if _is_unmigrated(error):
            return "the database is not migrated: holdfast migrate"
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return f"{name}{error.strerror or error}"
        case _:
            return None


def _is_unmigrated(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE
