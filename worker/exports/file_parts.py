"""Parts: the rows of a batch, as many workers write them and completion reads them.

Whatever the file's format, a part is JSON Lines: an array of cells a row.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence

from storage.errors import InvariantBroken
from storage.exports.file_parts import Part
from storage.files.artifacts import Artifacts, Written

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def write(artifacts: Artifacts, name: str, rows: Iterable[Sequence[str]]) -> Written:
    """Keep rows as a part."""
    with artifacts.create(name) as draft:
        draft.write("".join([_encode(row) + "\n" for row in rows]).encode())
    return Written(name, draft.bytes, draft.sha256)


def read(artifacts: Artifacts, part: Part) -> list[list[str]]:
    """A part's rows.

    Raises `InvariantBroken` where they are not what its checkpoint recorded: a part
    is looked at whole before one row of it is used; it is one batch's.
    """
    with artifacts.open(part.name) as stream:
        data = stream.read(part.bytes + 1)
    if (len(data), hashlib.sha256(data).hexdigest()) != (part.bytes, part.sha256):
        raise InvariantBroken(f"{part.name} is not what its checkpoint recorded")
    # Not splitlines(): a cell may hold what Unicode takes for the end of a line.
    return [_decode(line) for line in data.decode().split("\n")[:-1]]
