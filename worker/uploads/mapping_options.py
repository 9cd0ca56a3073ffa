"""What a client says of a file's columns and of how to read it, checked.

`columns` has a field of ours, and what it is: the name of their column, a value of all
records as `{"value": ...}`, an id as `{"derive": way, "column": ...}`, null for none.
`options` are those of a reading: `encoding`, `delimiter`, `quote`, `sheet`, `skip_bad`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.uploads import derivation
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import BadInput, Problem
from worker.quotes.readers.column_mapping import ColumnMapping
from worker.quotes.readers.files.declarations import within
from worker.quotes.readers.reader import name_problem
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID, is_unusable
from worker.quotes.readers.table import ReadOptions
from worker.uploads import domains
from worker.uploads.derived_ids import DerivedIds
from worker.uploads.domains import WAYS, Suffixes

Said = str | Mapping[str, str] | None
"""What a field is, in the words of a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is said of a file, and the version of the suffixes that a template froze."""

    columns: Mapping[str, Said] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    suffix_list: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The same, ready for a reader."""

    mapping: ColumnMapping
    options: ReadOptions


def prepared(deps: Deps, license_id: str, asked: Asked) -> Prepared:
    """Make a mapping for a license of what is asked. Raises `BadInput` by the field."""
    check_columns(asked.columns)
    ids = DerivedIds(deps, license_id)
    said = asked.columns.items()
    suffixes = _suffixes(deps, asked) if depends_on_suffixes(asked.columns) else None
    told = {name: one for name, one in said if isinstance(one, Mapping)}
    mapping = ColumnMapping(
        columns={name: one for name, one in said if isinstance(one, str)},
        fixed={name: one["value"] for name, one in told.items() if "value" in one},
        derived={
            name: ids.derivation(name, one["derive"], one["column"], suffixes)
            for name, one in told.items()
            if "derive" in one
        },
        without=frozenset(name for name, one in said if one is None),
        is_derived=ids.is_derived,
        suffix_list=suffixes.version if suffixes else None,
    )
    return Prepared(
        mapping=mapping, options=within(deps.settings, ReadOptions(**asked.options))
    )


def _suffixes(deps: Deps, asked: Asked) -> Suffixes:
    """Those that a template has frozen, else those that this version comes with."""
    version = asked.suffix_list
    if version is not None and version != domains.installed_version():
        with deps.database.reading() as connection:
            kept = derivation.list_of(connection, version)
        if kept is not None:
            return domains.suffixes_of(version, kept)
    return domains.installed()


def depends_on_suffixes(columns: Mapping[str, Said]) -> bool:
    """Whether an id is derived that depends on the Public Suffix List."""
    return any(
        isinstance(one, Mapping) and one.get("derive") == "domain"
        for one in columns.values()
    )


def check_columns(columns: Mapping[str, Said]) -> None:
    """Raise `BadInput` with all that is wrong, by the field."""
    problems = [
        Problem(0, name, message)
        for name, said in columns.items()
        if (message := _wrong(name, said)) is not None
    ]
    if problems:
        raise BadInput(problems)


def _wrong(name: str, said: Said) -> str | None:
    message = name_problem(name)
    if message is not None:
        return message
    column = said.get("column", "") if isinstance(said, Mapping) else said
    if column is not None and is_unusable(column):
        return "is mapped to a column whose name cannot be read"
    if not isinstance(said, Mapping):
        return None
    if "value" in said:
        if name in {COMPANY_ID, PERSON_ID}:
            return "cannot be a fixed value: all records would be the same one"
        return "has a value that is no text" if is_unusable(said["value"]) else None
    ways = WAYS.get(name)
    if ways is None:
        return f"cannot be derived: {', '.join(WAYS)} can"
    if said["derive"] not in ways:
        return f"can be derived by {' or '.join(ways)}, not by {said['derive']!r}"
    return None
