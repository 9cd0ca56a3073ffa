"""Which column of a file is which field of ours.

What is named by nobody keeps its own name, as every further column does. A column that
is called like a known field but for case, spaces, `-` and `_` is taken for that field,
and told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.infrastructure.errors import bad
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID

KNOWN_FIELDS = (
    COMPANY_ID,
    "company_name",
    "company_domain",
    PERSON_ID,
    "first_name",
    "last_name",
    "title",
)
"""The fields that mean something to prices, lookups and deliveries."""

_LESS = str.maketrans("", "", " -_\t\u00a0")


def folded(name: str) -> str:
    """A name without what people write in different ways: case, spaces, `-`, `_`."""
    return name.casefold().translate(_LESS)


_BY_FOLDED = {folded(name): name for name in KNOWN_FIELDS}


class NoId(Exception):
    """No id can be derived from a value: why, in words that do not hold it."""


class Derivation(NamedTuple):
    """An id that is derived from a column: what becomes of a cell that is not empty.

    `make` raises `NoId`.
    """

    column: str
    make: Callable[[str], str]


def _of_nobody(field: str, id_: str) -> bool:  # noqa: ARG001 - as all that are asked it
    return False


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What somebody says of a file's columns, by field of ours.

    `columns` names theirs, `fixed` a value that every record has, `derived` what an id
    is derived from; what is in `without` is left empty, whatever columns there are.
    `is_derived` tells of a field's id whether it was derived for the same license;
    `suffix_list` is the version of the Public Suffix List that derived ids depend on.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, Derivation] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    is_derived: Callable[[str, str], bool] = _of_nobody
    suffix_list: str | None = None


USUAL = ColumnMapping()
"""What holds where nobody says anything."""


class Made(NamedTuple):
    """Where the ids of a field come from: the place of the column, if it is there."""

    source: int | None
    make: Callable[[str], str]


class Fields(NamedTuple):
    """The fields of a record, each with the place of its column or its fixed value.

    `taken` are the columns that were taken for a known field by a like name, `derived`
    the fields whose ids are derived: they are among no `names`.
    """

    names: tuple[str, ...]
    sources: tuple[int | str, ...]
    taken: Mapping[str, str]
    derived: Mapping[str, Made] = {}

    def of(self, columns: Sequence[Sequence[str]], rows: int) -> list[Sequence[str]]:
        """The cells of each field, for as many rows."""
        return [
            columns[source] if isinstance(source, int) else [source] * rows
            for source in self.sources
        ]


def fields_of(
    mapping: ColumnMapping, names: Sequence[str], *, line: int | None
) -> Fields:
    """What becomes of a file's columns. Raises `BadInput` where one is not there."""
    _check_named(mapping, names, line)
    by_column: dict[str, list[str]] = {}
    for ours, column in mapping.columns.items():
        by_column.setdefault(column, []).append(ours)
    spoken_for = {*mapping.columns, *mapping.fixed, *mapping.derived, *mapping.without}
    taken = _taken_for_known(
        [name for name in names if name not in by_column], spoken_for
    )
    sources: dict[str, int | str] = {}
    for place, name in enumerate(names):
        for ours in by_column.get(name) or (taken.get(name, name),):
            if ours in mapping.without:
                continue
            if ours in sources or (ours in spoken_for and name not in by_column):
                message = (
                    f"two columns would be {ours}: map one of them to another field"
                )
                raise bad(name, message, line=line or 0)
            sources[ours] = place
    sources |= mapping.fixed
    places = {name: place for place, name in enumerate(names)}
    derived = {
        ours: Made(places.get(one.column), one.make)
        for ours, one in sorted(mapping.derived.items())
    }
    return Fields(tuple(sources), tuple(sources.values()), taken, derived)


def _check_named(
    mapping: ColumnMapping, names: Sequence[str], line: int | None
) -> None:
    named = [*mapping.columns.items()]
    named += [(ours, one.column) for ours, one in mapping.derived.items()]
    for ours, column in named:
        if line is not None and column not in names:
            message = f"there is no column {column!r}; there are {listed(names)}"
            raise bad(ours, message, line=line)


def _taken_for_known(names: Sequence[str], spoken_for: Iterable[str]) -> dict[str, str]:
    """The columns that are known fields in another spelling."""
    exact = {*names, *spoken_for}
    return {
        name: known
        for name in names
        if (known := _BY_FOLDED.get(folded(name))) is not None
        and known != name
        and known not in exact
    }


_LISTED = 20


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first of them where they are many."""
    shown = ", ".join(names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if names[_LISTED:] else shown
