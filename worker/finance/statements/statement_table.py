"""The table of a statement: a row of texts for each line, the same in each format."""

from collections.abc import Iterator

from storage.finance.statements.lines import Accounts, Line, Section, Statement
from worker.infrastructure.clock import instant

COLUMNS = (
    *("section", "key", "job", "at", "count", "credits", "refunded"),
    *Accounts._fields,
)
"""The headings: programs read them, and they keep their names."""

NUMBERS = frozenset({"count", "credits", "refunded", *Accounts._fields})
"""The columns that hold whole numbers, or nothing."""

TITLES = {
    Section.OPENING: "Opening",
    Section.MOVEMENT: "Movements",
    Section.CLOSING: "Closing",
    Section.TOP_UP: "Top-ups",
    Section.CREDIT_NOTE: "Credit notes",
    Section.ITEM: "By item",
    Section.USER: "By user",
    Section.JOB: "By job",
    Section.LATE: "Late movements",
    Section.MEMO: "Refunds of earlier periods, which stand there",
}
"""What people call a section."""


def rows(statement: Statement) -> Iterator[tuple[str, ...]]:
    """What stands above the table, a row for each; then one for each line."""
    rest = ("",) * (len(COLUMNS) - 2)
    for name, value in facts(statement):
        yield (name, value, *rest)
    for line in statement.lines:
        yield cells(line)


def cells(line: Line) -> tuple[str, ...]:
    """The cells of a line; what does not apply is empty."""
    accounts = line.accounts or (None,) * len(Accounts._fields)
    values = (
        *(line.section.value, line.key, line.job, instant(line.at)),
        *(line.count, line.credits, line.refunded, *accounts),
    )
    return tuple("" if value is None else str(value) for value in values)


def facts(statement: Statement) -> list[tuple[str, str]]:
    """Whose it is, of when, and what it can be held to."""
    told = [
        ("license", statement.license_id),
        ("starts_at", instant(statement.starts_at) or ""),
        ("ends_at", instant(statement.ends_at) or ""),
        ("run", str(statement.run)),
        ("frozen_at", instant(statement.frozen_at) or ""),
        ("head", statement.head or ""),
    ]
    if statement.previous is not None:
        before = statement.previous
        told += [
            ("previous_starts_at", instant(before.starts_at) or ""),
            *(
                (f"previous_{name}", str(value))
                for name, value in before.closing._asdict().items()
            ),
            ("previous_run", "" if before.run is None else str(before.run)),
            ("previous_head", before.head or ""),
        ]
    return told
