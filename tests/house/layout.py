"""The layout of the house: what each folder may import, and what it may be called.

A folder that stands here speaks for the folders in it that do not. Arrows go one way:
the table has no circle, so a reader can begin at its end and never has to go back.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.house.rules import BESIDE, PACKAGES, ROOT, Source, imports_of, within

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "pricing": (),
    # -- What is remembered.
    "storage": (),
    "storage/tables": ("pricing", "storage"),
    "storage/migrations": ("storage", "storage/tables"),
    "storage/files": ("storage",),
    "storage/webhooks": (),
    "storage/licenses": ("pricing", "storage", "storage/tables"),
    "storage/ledger": ("pricing", "storage", "storage/webhooks"),
    "storage/refunds": ("storage", "storage/ledger", "storage/webhooks"),
    "storage/quotes": ("pricing", "storage/tables"),
    "storage/uploads": ("storage/files", "storage/tables"),
    "storage/findings": ("pricing", "storage", "storage/tables"),
    "storage/jobs": (
        *("pricing", "storage", "storage/files", "storage/webhooks"),
        *("storage/ledger", "storage/refunds", "storage/quotes"),
    ),
    "storage/operations": ("storage", "storage/webhooks", "storage/jobs"),
    "storage/exports": ("pricing", "storage/files", "storage/jobs"),
    "storage/connections": ("storage", "storage/jobs"),
    "storage/pushes": ("storage", "storage/jobs", "storage/connections"),
    "storage/retention": ("storage/files", "storage/webhooks", "storage/jobs"),
    "storage/finance": (
        *("storage", "storage/tables", "storage/licenses", "storage/webhooks"),
    ),
    "worker/infrastructure": ("storage", "storage/files"),
    # What writes a CSV for spreadsheets and what reads it again agree on its texts.
    "worker/spreadsheets": (),
    # -- Families of siblings, which know neither storage nor each other.
    "worker/findings/providers": ("pricing",),
    "worker/connections/connectors": ("worker/infrastructure",),
    "worker/quotes/readers": (
        *("pricing", "worker/infrastructure", "worker/spreadsheets"),
    ),
    "worker/exports/writers": ("worker/spreadsheets",),
    # -- Use cases.
    "worker/licenses": (
        *("pricing", "storage", "storage/licenses", "storage/ledger"),
        "worker/infrastructure",
    ),
    "worker/refunds": (
        *("storage/licenses", "storage/ledger", "storage/refunds", "storage/jobs"),
        *("storage/operations", "worker/infrastructure"),
    ),
    "worker/ledger": (
        *("pricing", "storage", "storage/licenses", "storage/ledger"),
        *("storage/webhooks", "storage/refunds", "storage/operations"),
        *("worker/infrastructure", "worker/licenses", "worker/refunds"),
    ),
    "worker/quotes": (
        *("pricing", "storage", "storage/files", "storage/licenses"),
        *("storage/ledger", "storage/quotes", "storage/findings", "storage/retention"),
        "storage/uploads",
        *("worker/infrastructure", "worker/licenses", "worker/quotes/readers"),
    ),
    "worker/uploads": (
        *("pricing", "storage", "storage/files", "storage/licenses", "storage/uploads"),
        *("worker/infrastructure", "worker/quotes", "worker/quotes/readers"),
    ),
    "worker/findings": (
        *("pricing", "storage", "storage/findings", "storage/jobs"),
        *("worker/infrastructure", "worker/quotes", "worker/quotes/readers"),
        "worker/findings/providers",
    ),
    "worker/connections": (
        *("storage", "storage/licenses", "storage/connections"),
        *("worker/infrastructure", "worker/connections/connectors"),
    ),
    # Neither exports nor pushes: they are handed in, and so would be a third kind.
    "worker/jobs": (
        *("pricing", "storage", "storage/files", "storage/licenses"),
        *("storage/ledger", "storage/quotes", "storage/findings", "storage/jobs"),
        *("storage/webhooks", "storage/operations", "storage/refunds"),
        *("worker/infrastructure", "worker/licenses", "worker/refunds"),
        *("worker/quotes", "worker/quotes/readers", "worker/findings"),
    ),
    "worker/operations": (
        *("storage", "storage/licenses", "storage/jobs", "storage/operations"),
        *("storage/connections", "worker/infrastructure", "worker/findings"),
        "worker/jobs",
    ),
    "worker/exports": (
        *("pricing", "storage", "storage/files", "storage/licenses"),
        *("storage/quotes", "storage/jobs", "storage/exports"),
        *("worker/infrastructure", "worker/quotes", "worker/quotes/readers"),
        *("worker/findings", "worker/jobs", "worker/exports/writers"),
    ),
    "worker/pushes": (
        *("pricing", "storage", "storage/licenses", "storage/quotes"),
        *("storage/jobs", "storage/connections", "storage/pushes"),
        *("worker/infrastructure", "worker/quotes", "worker/quotes/readers"),
        *("worker/findings", "worker/jobs", "worker/connections"),
        "worker/connections/connectors",
    ),
    "worker/responses": (
        *("storage/licenses", "storage/ledger", "storage/quotes", "storage/findings"),
        *("storage/jobs", "storage/connections", "storage/pushes", "storage/webhooks"),
        *("storage/operations", "storage/refunds", "worker/refunds"),
        *("storage/uploads", "worker/uploads"),
        *("worker/infrastructure", "worker/operations"),
        *("worker/connections/connectors", "worker/exports", "storage/finance"),
    ),
    "worker/finance": (
        *("storage", "storage/tables", "storage/licenses", "storage/ledger"),
        "storage/refunds",
        *("storage/finance", "storage/operations", "storage/webhooks"),
        *("pricing", "storage/files", "storage/jobs", "storage/retention"),
        *("worker/infrastructure", "worker/licenses", "worker/ledger", "worker/quotes"),
        *("worker/exports", "worker/exports/writers", "worker/responses"),
        "worker/spreadsheets",
    ),
    "worker/webhooks": (
        *("storage/licenses", "storage/jobs", "storage/webhooks"),
        "storage/operations",
        *("worker/infrastructure", "worker/exports", "worker/responses"),
    ),
    "worker/retention": (
        *("storage", "storage/files", "storage/licenses", "storage/findings"),
        *("storage/connections", "storage/pushes", "storage/retention"),
        *("storage/webhooks", "worker/infrastructure"),
        *("worker/quotes", "worker/quotes/readers", "worker/uploads"),
        *("worker/exports", "worker/finance"),
    ),
    # -- Things apart.
    "worker/sample": (),
    "worker/sandbox": ("worker/infrastructure",),
    "worker/embedded": ("worker/infrastructure",),
    # -- The wiring, API and command line: they may know all that stands above.
    "worker": ("*",),
    "worker/console": ("*",),
    "worker/api": ("*",),
    "worker/cli": ("*", "worker/api"),
    # -- Beside the product: nothing of it imports the benchmark.
    "bench/installations": (),
    "bench/rivals": (
        *("pricing", "storage", "storage/tables", "storage/findings", "storage/jobs"),
        *("storage/ledger", "worker/exports/writers", "worker/quotes/readers"),
        "bench/installations",
    ),
    "bench/report": ("bench/installations",),
    "bench/measurements": ("bench/installations", "bench/rivals", "bench/report"),
    "bench": ("bench/installations", "bench/report", "bench/measurements"),
}
"""By folder, from the ground up; a `*` is every folder that stands before it."""

MODULES_MAX = 15
NAMES_ALLOWED = frozenset({"keyring", "wiring"})
"""What ends like a gerund and is a noun of the field."""


def folder_of(path: str) -> str:
    """The folder of the table that a file belongs to: the longest one."""
    return max(
        (folder for folder in MAY_IMPORT if path.startswith(f"{folder}/")), key=len
    )


def allowed(folder: str) -> frozenset[str]:
    """What a folder may import besides itself."""
    before = list(MAY_IMPORT)[: list(MAY_IMPORT).index(folder)]
    listed = MAY_IMPORT[folder]
    return frozenset(listed) | (frozenset(before) if "*" in listed else frozenset())


def arrows_go_one_way(source: Source) -> list[str]:
    """A folder imports what the table says, and nothing else of the house."""
    own = folder_of(source.path)
    wrong = []
    for line, name in imports_of(source):
        if name.split(".")[0] in {*PACKAGES, BESIDE}:
            other = folder_of(f"{name.replace('.', '/')}/")
            if other != own and other not in allowed(own):
                message = f"{own} must not import {other} ({name}); hand it in"
                wrong.append(source.wrong(line, message))
    return wrong


def names_are_nouns(source: Source) -> list[str]:
    """A module is named for the thing in it: not for what somebody is doing."""
    name = Path(source.path).stem
    if name.endswith("ing") and "_" not in name and name not in NAMES_ALLOWED:
        return [source.wrong(1, f"{name} is an activity; name the thing or agent")]
    return []


def folders() -> Iterator[Path]:
    """All folders with modules, the benchmark's with them."""
    for package in (*PACKAGES, BESIDE):
        for face in sorted((ROOT / package).rglob("__init__.py")):
            yield face.parent


def modules(folder: Path) -> list[str]:
    """The modules of a folder, without its face."""
    faces = {"__init__", "__main__"}
    return [path.stem for path in folder.glob("*.py") if path.stem not in faces]


def is_listed(name: str) -> bool:
    """Whether a folder is in the table, by itself or by the one that it is in."""
    return any(
        within(name.replace("/", "."), one.replace("/", ".")) for one in MAY_IMPORT
    )
