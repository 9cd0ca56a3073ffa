"""The layout of an export's file: its columns, their headings, and its rows.

What a client chose is stored with the quote and read back here. A *field* is a
column of the input or something that is found; its *heading* names it in the file.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pricing.findings import FoundColumns
from pricing.plans import Item
from worker.exports.export_options import Column, Export
from worker.infrastructure.errors import BadInput, Problem, bad
from worker.quotes.priced_records import PricedRecords
from worker.quotes.readers.reader import name_problem
from worker.quotes.readers.records import COMPANY_ID, PERSON_ID

_OF_ITEM = {Item.EMAIL: ("email", "email_status"), Item.PHONE: ("phone",)}
_VALUE_OF = {Item.EMAIL: "email", Item.PHONE: "phone"}
"""The field that is paid for: a status alone is no address."""
_NAMES = {Item.EMAIL: "e-mail", Item.PHONE: "phone"}
_OF_INPUT = "input_"


class Refusal(NamedTuple):
    """A value that the format cannot hold: its field, and why not."""

    field: str
    message: str


class Layout:
    """The columns of one export, and how a record becomes a row of it."""

    def __init__(
        self, export: Export, columns: Sequence[str], retrieve: Sequence[Item]
    ) -> None:
        self._format = export.format
        self._text_columns = export.text_columns
        self._retrieve = retrieve
        self._sources = _sources(columns, retrieve)
        every = tuple(Column(field, field) for field in self._sources)
        self.columns = every if export.columns is None else export.columns
        fields = {column.field for column in self.columns}
        self.held = frozenset(item for item in retrieve if _VALUE_OF[item] in fields)
        """What is retrieved and has its column: nothing else is ever charged."""

    @property
    def headings(self) -> list[str]:
        """The columns' headings, in order."""
        return [column.heading for column in self.columns]

    def check(self) -> None:
        """Raise `BadInput` where no file can have these columns."""
        for field, heading in self.columns:
            if field not in self._sources:
                known = ", ".join(self._sources)
                raise bad("export.columns", f"{field!r} is none of {known}")
            message = name_problem(heading)
            if message is not None:
                raise bad("export.columns", f"the heading of {field} {message}")
        self._check_text_columns()
        self._check_that_it_holds_what_is_paid_for()
        headings = self.headings
        if len(set(headings)) < len(headings):
            twice = next(name for name in headings if headings.count(name) > 1)
            raise bad("export.columns", f"the heading {twice!r} is there twice")
        most = self._format.columns_max
        if most is not None and len(headings) > most:
            message = (
                f"{len(headings):,} are too many; {self._format.name} has {most:,}"
            )
            raise bad("export.columns", message)
        refused = self._format.refusal(headings)
        if refused is not None:
            field = self.columns[refused[0]].field
            raise bad("export.columns", f"the heading of {field[:50]} {refused[1]}")

    def _check_text_columns(self) -> None:
        fields = [column.field for column in self.columns]
        for field in self._text_columns:
            if field not in fields:
                known = ", ".join(fields)
                message = f"{field!r} is no column of the file, which has {known}"
                raise bad("export.text_columns", message)

    def _check_that_it_holds_what_is_paid_for(self) -> None:
        problems = [
            Problem(
                0,
                "export.columns",
                f"has no column for the {_NAMES[item]}: add {_VALUE_OF[item]}, "
                f"or leave {item} out of retrieve",
            )
            for item in self._retrieve
            if item not in self.held
        ]
        if problems:
            raise BadInput(problems)

    def cells(self, records: PricedRecords, found: FoundColumns) -> list[Sequence[str]]:
        """The file's cells of these records, a sequence for each of its columns.

        `found` holds only what may be disclosed.
        """
        statuses = zip(found.emails, found.email_statuses, strict=True)
        of_found = {
            "email": [email or "" for email in found.emails],
            "email_status": [status if email else "" for email, status in statuses],
            "phone": [phone or "" for phone in found.phones],
        }
        of_input = {
            COMPANY_ID: records.company_ids,
            PERSON_ID: [person_id or "" for person_id in records.person_ids],
            **records.others,
        }
        none = [""] * len(found.emails)
        sources = [(field, self._sources[field]) for field, _ in self.columns]
        return [
            of_found[field] if column is None else of_input.get(column, none)
            for field, column in sources
        ]

    def refusals(
        self, cells: Sequence[Sequence[str]], places: Iterable[int]
    ) -> dict[int, Refusal]:
        """Which of the rows at these places cannot be in the file, and why not.

        It tells nothing of what was found.
        """
        if all(map(self._format.holds_all, cells)):
            return {}  # as nearly always
        refused = {
            place: self._format.refusal([column[place] for column in cells])
            for place in places
        }
        return {
            place: Refusal(self.columns[why[0]].field, why[1])
            for place, why in refused.items()
            if why is not None
        }


def _sources(columns: Sequence[str], retrieve: Sequence[Item]) -> dict[str, str | None]:
    """All fields there are, by the column of the input or None for what is found.

    What is paid for keeps its name; a column of the input that has the same one is
    told from it: `email` of the input is `input_email` then.
    """
    found = [name for item in _OF_ITEM if item in retrieve for name in _OF_ITEM[item]]
    taken = {*found, *columns}
    sources: dict[str, str | None] = {}
    for column in columns:
        field = column
        if column in found:
            while field in taken:
                field = _OF_INPUT + field
            taken.add(field)
        sources[field] = column
    return sources | dict.fromkeys(found)
