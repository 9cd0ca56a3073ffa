"""Parts: the rows of a batch, as many workers write them and completion reads them.

Where a file is its beginning and then its rows, a part holds rows as they stand in the
file, and the file is its parts one behind the other. Any other part is JSON Lines: an
array of cells a row.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence

from storage.errors import InvariantBroken
from storage.exports.file_parts import Part
from storage.files.artifacts import Artifacts, Written
from worker.exports.export_options import Export

ROWS = "rows"
"""The extension of a part in its file's own format."""

CELLS = "jsonl"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def extension(export: Export) -> str:
    """How the parts of an export end."""
    is_whole = export.split_records is None
    return ROWS if is_whole and export.format.encoded is not None else CELLS


def encoded(
    export: Export, headings: Sequence[str], rows: Iterable[Sequence[str]]
) -> bytes:
    """Rows as a part of this export holds them."""
    if extension(export) == ROWS and export.format.encoded is not None:
        return export.format.encoded(headings, rows)
    return "".join([_encode(row) + "\n" for row in rows]).encode()


def write(artifacts: Artifacts, name: str, data: bytes) -> Written:
    """Keep a part."""
    with artifacts.create(name) as draft:
        draft.write(data)
    return Written(name, draft.bytes, draft.sha256)


def read(artifacts: Artifacts, part: Part) -> bytes:
    """A part's bytes.

    Raises `InvariantBroken` where they are not what its checkpoint recorded: a part
    is looked at whole before one row of it is used; it is one batch's.
    """
    with artifacts.open(part.name) as stream:
        data = stream.read(part.bytes + 1)
    if (len(data), hashlib.sha256(data).hexdigest()) != (part.bytes, part.sha256):
        raise InvariantBroken(f"{part.name} is not what its checkpoint recorded")
    return data


def holds_rows(part: Part) -> bool:
    """Whether a part is in its file's own format."""
    return part.name.endswith(f".{ROWS}")


def cells(data: bytes) -> list[list[str]]:
    """The rows of a part that is not."""
    # Not splitlines(): a cell may hold what Unicode takes for the end of a line.
    return [_decode(line) for line in data.decode().split("\n")[:-1]]
