"""Columns as PostgreSQL reads arrays: one text a column, whatever its length.

psycopg would write an array element by element, at several times the cost. Imported by
who writes many rows in one statement.
"""

from collections.abc import Sequence

import orjson


def array(values: Sequence[str | int | bool | None]) -> str:
    """The literal of an array of texts, numbers or booleans; None is NULL.

    JSON spells them all as PostgreSQL does: texts in double quotes, null, true. Only
    its backslash differs: there it may begin the name of a character, here it means
    whatever follows it.
    """
    spelt = orjson.dumps(values).decode()
    if "\\" in spelt:
        spelt = f"[{','.join(_element(value) for value in values)}]"
    return "{" + spelt[1:-1] + "}"


def _element(value: str | int | bool | None) -> str:
    """One element, if a text with its quotes and backslashes escaped alone."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return orjson.dumps(value).decode()
