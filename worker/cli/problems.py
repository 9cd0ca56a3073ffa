"""What a person is told when something is wrong, and the exit status it means."""

import json
import sys
import traceback

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from storage.errors import StorageError
from worker.embedded.errors import EmbeddedError
from worker.errors import BadInput, Code, NotConfigured, Refused

FAILED, BAD = 1, 2

_UNDEFINED_TABLE = "42P01"


def report(error: Exception) -> int:
    """Say what is wrong on standard error; return the exit status."""
    match error:
        case click.ClickException():
            _show_usage(error)
            return error.exit_code
        case BadInput():
            _show_bad_input(error)
            return BAD
        case Refused():
            _show(error.code, error.detail, **error.facts)
            return FAILED
        case NotConfigured() | StorageError() | EmbeddedError():
            _show(Code.UNAVAILABLE, str(error))
            return FAILED
        case OperationalError():
            _show(Code.UNAVAILABLE, f"the database does not answer: {error.orig}")
            return FAILED
        case ProgrammingError() if _is_unmigrated(error):
            _show(Code.UNAVAILABLE, "the database is not migrated: holdfast migrate")
            return FAILED
        case _:
            traceback.print_exception(error)
            return FAILED


def _is_unmigrated(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE


def _show_usage(error: click.ClickException) -> None:
    if _wants_json():
        _show(Code.INVALID_REQUEST, error.format_message())
    else:
        error.show()


def _show_bad_input(error: BadInput) -> None:
    if _wants_json():
        errors = [problem._asdict() for problem in error.problems]
        detail = f"{error.total} problems"
        _show(Code.INVALID_REQUEST, detail, errors=errors, errors_total=error.total)
        return
    for problem in error.problems:
        click.echo(str(problem), err=True)
    if error.total > len(error.problems):
        more = error.total - len(error.problems)
        click.echo(f"and {more} more", err=True)


def _show(code: Code, detail: str, **facts: object) -> None:
    if _wants_json():
        text = json.dumps({"code": code.value, "detail": detail, **facts})
        click.echo(text, err=True)
    else:
        click.echo(f"{code.value}: {detail}", err=True)


def _wants_json() -> bool:
    return "--json" in sys.argv
