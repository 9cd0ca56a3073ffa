"""Writing a workbook against its library alone."""

import time
from pathlib import Path

from xlsxwriter import Workbook

from bench.installations.contacts import COLUMNS, FOUND_COLUMNS, found_of, row
from bench.measurements.session import Session
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_least,
    quotients,
    say,
    spread,
)
from bench.rivals import product


def measure(session: Session) -> Section:
    """Write the same rows by the library and by the product's writer in turn."""
    count = session.sizes.records
    heads = [*COLUMNS, *FOUND_COLUMNS]
    rows = [[*row(number), *found_of(number)] for number in range(count)]
    folder = session.installation.folder

    def run(number: int) -> tuple[float, float]:
        began_s = time.process_time()
        _library_alone(folder / "library.xlsx", heads, rows)
        library_s = time.process_time() - began_s
        began_s = time.process_time()
        product.write_file("xlsx", folder / "holdfast.xlsx", heads, rows)
        ours_s = time.process_time() - began_s
        say(f"round {number + 1}: library {library_s:.2f}, Holdfast {ours_s:.2f} CPU s")
        return library_s, ours_s

    rounds = Rounds()
    library, ours = zip(*rounds.of(session.sizes.rounds, run), strict=True)
    micro = 1e6 / count
    return Section(
        title="Workbooks",
        sizes=f"{count:,} rows of {len(heads)} columns",
        figures=[
            Figure(
                what="speed of writing XLSX by CPU, of the library alone",
                held="workbook.cpu",
                values=quotients(library, ours),
                goal=at_least(0.9),
                absolute=f"{spread(library)} against {spread(ours)} CPU s",
            )
        ],
        unit="µs of CPU a row",
        bars=[
            Bar(label="library alone", parts={"own": [one * micro for one in library]}),
            Bar(label="Holdfast", parts={"own": [one * micro for one in ours]}),
        ],
        lost=rounds.lost,
    )


def _library_alone(path: Path, heads: list[str], rows: list[list[str]]) -> None:
    options = {"constant_memory": True, "tmpdir": str(path.parent)}
    with Workbook(str(path), options) as book:
        sheet = book.add_worksheet()
        for number, cells in enumerate([heads, *rows]):
            for place, cell in enumerate(cells):
                sheet.write_string(number, place, cell)
