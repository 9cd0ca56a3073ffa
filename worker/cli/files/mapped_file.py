"""A file that a command reads: its format, and what is said of its columns.

Where a column is missing, a person is told which one it could be.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from worker.cli.invocation import Cli
from worker.cli.progress import reading
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import BadInput, bad
from worker.quotes.readers.formats import BY_SUFFIX, CSV, Format
from worker.uploads import column_mappings, templates
from worker.uploads.column_guesses import hint_of, with_hint
from worker.uploads.mapping_options import Asked, Prepared, prepared

_OPTIONS = ("encoding", "delimiter", "quote", "sheet", "skip_bad")


class MappedFile(NamedTuple):
    """A file, and what is said of it; `template` says what is not said here."""

    path: Path
    asked: Asked
    template: str | None

    @property
    def format(self) -> Format:
        """How it is read, by the end of its name; without one it is CSV."""
        suffix = self.path.suffix
        if not suffix:
            return CSV
        found = BY_SUFFIX.get(suffix.lower())
        if found is None:
            known = ", ".join(BY_SUFFIX)
            raise bad("FILE", f"ends in {suffix}, which is none of {known}")
        return found

    def prepared(self, deps: Deps, license_id: str) -> Prepared:
        """What is said of it, for a license. Raises `BadInput` and `Refused`."""
        asked = self.asked
        if self.template is not None:
            asked = templates.applied(deps, license_id, self.template, asked)
        return prepared(deps, license_id, asked)

    @contextmanager
    def opened(
        self, cli: Cli, deps: Deps, license_id: str, label: str
    ) -> Iterator[BinaryIO]:
        """Open it, with a bar; where a column is missing, say which it could be."""
        try:
            with reading(cli, self.path, label) as stream:
                yield stream
        except BadInput as error:
            raise with_hint(
                error, functools.partial(self._hint, deps, license_id)
            ) from error

    def _hint(self, deps: Deps, license_id: str, field: str) -> str | None:
        """Which column a field that is missing could be."""
        kind, options = self.format.content_type, self.asked.options
        with suppress(BadInput), self.path.open("rb") as stream:
            seen = column_mappings.look(deps, license_id, kind, stream, options)
            return hint_of(field, seen.guesses)
        return None


def mapped_file(
    template: str,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The argument and options that say how a file is read, made into one.

    `template` is what the option is called that names an upload template.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.argument(
            "file", type=click.Path(exists=True, dir_okay=False, path_type=Path)
        )
        @click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN")
        @click.option("--derive", multiple=True, metavar="FIELD=WAY:COLUMN")
        @click.option("--fixed", multiple=True, metavar="FIELD=VALUE")
        @click.option(template, "read_by", help="The upload template to read FILE by.")
        @click.option("--encoding", help="Such as utf-8 or windows-1252.")
        @click.option("--delimiter", help="Of a CSV.")
        @click.option("--quote", help="Of a CSV.")
        @click.option("--sheet", help="Of a workbook.")
        @click.option("--skip-bad", is_flag=True, help="Leave bad lines out.")
        @functools.wraps(function)
        def run(
            *args: Any,  # noqa: ANN401 - click's options
            file: Path,
            maps: tuple[str, ...],
            derive: tuple[str, ...],
            fixed: tuple[str, ...],
            read_by: str | None,
            **options: Any,  # noqa: ANN401 - the same
        ) -> None:
            said = {name: options.pop(name) for name in _OPTIONS}
            asked = Asked(
                columns=_columns(maps, derive, fixed),
                options={name: one for name, one in said.items() if one},
            )
            function(*args, file=MappedFile(file, asked, read_by), **options)

        return run

    return decorate


def _columns(
    maps: tuple[str, ...], derive: tuple[str, ...], fixed: tuple[str, ...]
) -> dict[str, Any]:
    """What each field is, in the words of a request."""
    columns: dict[str, Any] = {}
    for field, column in _pairs("map", maps, columns):
        columns[field] = column or None
    for field, said in _pairs("derive", derive, columns):
        way, mark, column = said.partition(":")
        if not mark:
            raise bad("derive", f"{field}={said} lacks its column: FIELD=WAY:COLUMN")
        columns[field] = {"derive": way, "column": column}
    for field, value in _pairs("fixed", fixed, columns):
        columns[field] = {"value": value}
    return columns


def _pairs(
    option: str, words: tuple[str, ...], before: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    for word in words:
        field, mark, said = word.partition("=")
        if not mark or not field.strip():
            raise bad(option, f"{word!r} has no field: FIELD=...")
        if field.strip() in before:
            raise bad(option, f"{field.strip()} is said twice")
        yield field.strip(), said
