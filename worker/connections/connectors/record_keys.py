"""Our key as a CRM keeps it: one for each of our ids, whatever the CRM makes of a text.

CRMs trim texts, fold white space and case, compose or cut letters, some of them only
where they look for one. An id that none of this can change is its own key; any other
has what is readable of it and a digest. A key is never another id's.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_MAX = 200
"""Characters of the longest key; the fields that hold one take 255."""
_READABLE_MAX = 60
_DIGEST_HEX = 32
_PLAIN = re.compile(rf"(?=.{{1,{_MAX}}}\Z)[!-~]+(?: [!-~]+)*")
"""Printable ASCII with single spaces between."""
_MADE = re.compile(rf".*~[0-9a-f]{{{_DIGEST_HEX}}}", re.DOTALL | re.IGNORECASE)
_UNREADABLE = re.compile(r"[^a-z0-9._:-]+")


def key_of(our_id: str, *, folds_case: bool = False) -> str:
    """The key of an id, in a CRM that may hold `ABC` and `abc` for the same."""
    is_plain = _PLAIN.fullmatch(our_id) and not _MADE.fullmatch(our_id)
    if is_plain and not (folds_case and our_id != our_id.lower()):
        return our_id
    ascii_ = unicodedata.normalize("NFKD", our_id).encode("ascii", "ignore").decode()
    readable = _UNREADABLE.sub("-", ascii_.lower()).strip("-")[:_READABLE_MAX]
    digest = hashlib.sha256(our_id.encode()).hexdigest()[:_DIGEST_HEX]
    return f"{readable}~{digest}"


def by_key(ours: Iterable[str], *, folds_case: bool = False) -> dict[str, str]:
    """Ids by their keys."""
    return {key_of(our_id, folds_case=folds_case): our_id for our_id in ours}


def is_other_than(our_id: str, *, folds_case: bool = False) -> bool:
    """Whether an older version has written an id as it is, and this one does not.

    What stands there has to be compared to the letter. An id that looks like a key that
    was made is looked for by its own alone: another id's may be the same text.
    """
    is_other = key_of(our_id, folds_case=folds_case) != our_id
    return is_other and _MADE.fullmatch(our_id) is None


def with_plain(ours: Iterable[str], *, folds_case: bool = False) -> dict[str, str]:
    """Ids by all that may stand as their key, by an older version too."""
    named = list(ours)
    older = {one: one for one in named if is_other_than(one, folds_case=folds_case)}
    return older | by_key(named, folds_case=folds_case)
