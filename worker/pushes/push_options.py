"""What a client chose of a push: where to, which fields, and what may be overwritten.

It is stored with the quote and read back here. A *source* is a column of the input,
`full_name`, or something that is found; its *target* is a field of the CRM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pricing.plans import Item
from worker.connections.connectors.connector import Kind
from worker.infrastructure.errors import bad

FULL_NAME = "full_name"
"""A source that every person has: first and last name, joined."""

OF_ITEM = {Item.EMAIL: ("email", "email_status"), Item.PHONE: ("phone",)}
"""The sources that a retrieved item fills."""

VALUE_OF = {Item.EMAIL: "email", Item.PHONE: "phone"}
"""The source that is paid for: a status alone is no address."""

_OF_INPUT = "input_"
_ALSO = {
    "email": ("person_email", "input_email"),
    "phone": ("person_phone", "input_phone"),
}
"""What the input may have of the same beside what is found, in whichever format."""


class Overwrite(StrEnum):
    """What may happen to records that the CRM has already."""

    NEVER = "never"
    IF_EMPTY = "if_empty"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One push; `mapping` is what differs from the connector's defaults.

    A source without a target is not sent. Empty values are sent, and clear what the
    CRM has, with `send_blanks` alone. What was deleted in the CRM is left alone unless
    `recreate_deleted`. Values that a field does not take refuse the whole push, or are
    left for the CRM to reject with `reject_invalid`.
    """

    connection_id: str
    mapping: Mapping[Kind, Mapping[str, str | None]] = field(default_factory=dict)
    overwrite: Overwrite = Overwrite.ALWAYS
    tags: tuple[str, ...] = ()
    owner: str | None = None
    send_blanks: bool = False
    recreate_deleted: bool = False
    reject_invalid: bool = False

    def targets(
        self, kind: Kind, defaults: Mapping[str, str], sources: Mapping[str, str | None]
    ) -> dict[str, str]:
        """The targets by the source they are filled from: the mapping, then the usual.

        Usual sources that this input does not have are left out.
        """
        own = self.mapping.get(kind, {})
        taken = set(own.values())
        usual = {
            source: target
            for name, target in defaults.items()
            for source in (*_ALSO.get(name, ()), name)
            if source in sources and source not in own and target not in taken
        }
        return usual | {source: target for source, target in own.items() if target}

    def check(
        self,
        columns: Sequence[str],
        retrieve: Sequence[Item],
        defaults: Mapping[Kind, Mapping[str, str]],
    ) -> None:
        """Raise `BadInput` where a mapping names what no record has, or a field twice.

        Nor may anything be looked up, and paid for, that goes nowhere.
        """
        known = sources_of(columns, retrieve)
        filled = self.targets(Kind.PERSON, defaults[Kind.PERSON], known)
        for item in retrieve:
            if VALUE_OF[item] not in filled:
                raise bad(
                    "push.mapping.person", f"{item} is retrieved and goes nowhere"
                )
        for kind, own in self.mapping.items():
            place = f"push.mapping.{kind}"
            for source in own:
                if source not in known:
                    raise bad(place, f"{source!r} is none of {', '.join(known)}")
            targets = [target for target in own.values() if target]
            for target in targets:
                if targets.count(target) > 1:
                    raise bad(place, f"{target!r} is filled twice")


def column_of(source: str, retrieve: Sequence[Item]) -> str | None:
    """The column of the input that a source is, whatever columns there are.

    None where it is found or made.
    """
    made = {FULL_NAME, *(name for item in retrieve for name in OF_ITEM.get(item, ()))}
    column = source.removeprefix(_OF_INPUT)
    if source in made:
        return None
    return column if column in made else source


def push_of(stored: Mapping[str, Any]) -> Push:
    """What was chosen, from how it is stored."""
    mapping = stored.get("mapping") or {}
    return Push(
        connection_id=stored["connection"],
        mapping={Kind(kind): own for kind, own in mapping.items() if own},
        overwrite=Overwrite(stored.get("overwrite") or Overwrite.ALWAYS),
        tags=tuple(dict.fromkeys(stored.get("tags") or ())),
        owner=stored.get("owner"),
        send_blanks=bool(stored.get("send_blanks")),
        recreate_deleted=bool(stored.get("recreate_deleted")),
        reject_invalid=bool(stored.get("reject_invalid")),
    )


def sources_of(
    columns: Sequence[str], retrieve: Sequence[Item]
) -> dict[str, str | None]:
    """The column behind each source; None where it is found or made.

    As in a file, what is retrieved has its own name, and a column of the input that is
    called the same is `input_email`.
    """
    found = [
        name for item in Item if item in retrieve for name in OF_ITEM.get(item, ())
    ]
    made = {*found, FULL_NAME}
    given = {
        f"{_OF_INPUT}{column}" if column in made else column: column
        for column in columns
    }
    return {**given, **dict.fromkeys(made)}
