"""What a person is told when something is wrong, and the exit status it means."""

import json
import sys
import traceback

import click

from worker.infrastructure.errors import BadInput, Code, Refused
from worker.responses import response

FAILED, BAD = 1, 2


def report(error: Exception) -> int:
    """Say what is wrong on standard error; return the exit status."""
    match error:
        case click.ClickException():
            _show_usage(error)
            return error.exit_code
        case BadInput():
            _show_bad_input(error)
            return BAD
        case UnicodeEncodeError():
            _show(Code.INVALID_REQUEST, "an argument is not valid UTF-8")
            return BAD
        case Refused():
            _show(error.code, error.detail, **error.facts)
            return FAILED
    return _report_accident(error)


def _report_accident(error: Exception) -> int:
    from worker.cli import accidents  # noqa: PLC0415 - a typo needs no database's driver

    wrong = accidents.wrong_settings(error)
    for message in wrong:
        _show(Code.INVALID_REQUEST, message)
    if wrong:
        return BAD
    detail = accidents.sentence_of(error)
    if detail is None:
        traceback.print_exception(error)
    else:
        _show(Code.UNAVAILABLE, detail)
    return FAILED


def _show_usage(error: click.ClickException) -> None:
    if _wants_json():
        _show(Code.INVALID_REQUEST, error.format_message())
    else:
        error.show()


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
