"""What a person is told when something is wrong, and the exit status it means."""

import json
import sys
import traceback

import click
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from storage.errors import StorageError
from worker.embedded.errors import EmbeddedError
from worker.infrastructure.errors import BadInput, Code, NotConfigured, Refused
from worker.responses import response

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
        case ValidationError():
            _show_settings(error)
            return BAD
        case UnicodeEncodeError():
            _show(Code.INVALID_REQUEST, "an argument is not valid UTF-8")
            return BAD
        case Refused():
            _show(error.code, error.detail, **error.facts)
            return FAILED
    detail = _accident(error)
    if detail is None:
        traceback.print_exception(error)
    else:
        _show(Code.UNAVAILABLE, detail)
    return FAILED


def _accident(error: Exception) -> str | None:
    """What has failed, in a sentence; None for what nobody has foreseen."""
    match error:
        case NotConfigured() | StorageError() | EmbeddedError():
            return str(error)
        case ArgumentError():
            return f"HOLDFAST_DATABASE_URL: {error}"
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


def _show_usage(error: click.ClickException) -> None:
    if _wants_json():
        _show(Code.INVALID_REQUEST, error.format_message())
    else:
        error.show()


def _show_settings(error: ValidationError) -> None:
    for found in error.errors():
        name = f"HOLDFAST_{'_'.join(map(str, found['loc'])).upper()}"
        _show(Code.INVALID_REQUEST, f"{name}: {found['msg']}")


def _show_bad_input(error: BadInput) -> None:
    if _wants_json():
        errors = [response.of_problem(problem) for problem in error.problems]
        total = error.total
        _show(Code.INVALID_REQUEST, str(error), errors=errors, errors_total=total)
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
