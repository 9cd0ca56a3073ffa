"""Lists as CSV for people: every page of one list, as a file that is streamed.

What opens it is a spreadsheet, and what is in it comes from others: ids from clients,
words from their CRMs. So it goes through the writer that keeps texts from becoming
formulas.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from fastapi.responses import StreamingResponse

from worker.exports.writers import delimited
from worker.responses.response import Answer


def csv_response(
    columns: Sequence[str], pages: Iterator[Sequence[Answer]]
) -> StreamingResponse:
    """A line for each answer, with these of its members; what is None is empty.

    The first page is looked for at once: what fails there is answered as a problem.
    """
    first = next(pages, ())
    lines = _lines(columns, chain([first], pages))
    return StreamingResponse(lines, media_type="text/csv")


def _lines(
    columns: Sequence[str], pages: Iterator[Sequence[Answer]]
) -> Iterator[bytes]:
    written = _Written()
    with delimited.FOR_PEOPLE.open(written, columns) as writer:
        for page in pages:
            writer.add([[_cell(row[name]) for name in columns] for row in page])
            yield written.taken()


def _cell(value: object) -> str:
    return "" if value is None else str(value)


class _Written:
    """What the writer wrote since the last time that it was taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self._parts.append(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
