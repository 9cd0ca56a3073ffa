"""What vendors say, taken only where it is what it should be.

A field of another kind than was published counts as not there: one odd answer must not
stop a chunk, and a character that no database takes must not come near one.
"""

import re

_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters, which JSON can spell."""


def text_of(holder: object, name: str) -> str | None:
    """The text that an object gives under a name; None where it gives none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    fit = isinstance(value, str) and value and not _UNFIT.search(value)
    return value if fit else None
