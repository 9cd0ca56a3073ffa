"""What is to be done about one company or person of a push, before it is done. Pure.

The same decision serves the push and its dry run. What was intended by a try that did
not come to its end is intended still: the CRM may hold what that try has sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from storage.connections.id_map import Entry
from storage.crm_changes import Change
from storage.pushes.intents import Intent
from worker.connections.connectors.connector import Ambiguous, Existing, Match, Rejected
from worker.pushes.field_values import Ready
from worker.pushes.push_options import Overwrite, Push
from worker.pushes.sent_parts import Parts, are_in

AMBIGUOUS = "ambiguous"
DELETED = "deleted_in_crm"
MERGED = "merged_in_crm"
DO_NOT_CONTACT = "do_not_contact"

_IDS_MAX = 5
"""Ids that a message names."""


class Step(NamedTuple):
    """What is to be done: `fields` are written to `their_id`, or to a new record.

    `is_known` says that nothing is, for the CRM has it as we have sent it, and
    `has_arrived` that nothing is any more: a try before this one has done it. `before`
    is the digest of what was sent before of the same record.
    """

    change: Change
    fields: Mapping[str, str]
    their_id: str | None
    link: str | None = None
    is_known: bool = False
    has_arrived: bool = False
    before: str = ""

    @property
    def is_to_send(self) -> bool:
        """Whether anything is to be sent."""
        return self.change is not Change.UNCHANGED and not self.has_arrived


@dataclass(frozen=True, slots=True)
class Left:
    """Left alone, for the customer has said so in the CRM: it is excluded."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Merged:
    """It was merged in the CRM into what another of ours, `into`, is there."""

    into: str


Plan = Step | Rejected | Left

_NOT_TO_CONTACT = Left(DO_NOT_CONTACT, "the CRM says not to contact this person")


def step_of(
    ready: Ready,
    known: Entry | None,
    intent: Intent | None,
    match: Match | Merged | None,
    *,
    push: Push,
    of_input: bool = False,
) -> Plan:
    """What is to be done about one of them; an ambiguous one is nobody's to decide.

    `of_input`: what is found makes no difference to whether it was sent before.
    """
    fields = ready.wanted.fields
    if intent is not None:
        return _resumed(fields, intent, match)
    if match is None:
        if known is not None and not push.recreate_deleted:
            return Left(DELETED, "it was there, and somebody has deleted it")
        return Step(Change.CREATED, fields, None)
    if isinstance(match, Merged):
        return Left(MERGED, f"somebody has merged it into what {match.into} is there")
    if isinstance(match, Ambiguous):
        return Rejected(code=AMBIGUOUS, message=_several(match))
    if match.do_not_contact:
        return _NOT_TO_CONTACT
    # What was merged into another record is not there as we have sent it.
    is_same = known is not None and known.their_id == match.their_id and match.has_key
    before = known.digest if known is not None and is_same else ""
    parts = ready.input_parts if of_input else ready.parts
    is_known = _is_as_sent(ready, parts, before, match)
    step = _update(ready, match, push.overwrite, is_known=is_known)
    return step._replace(before=before)


def _is_as_sent(ready: Ready, parts: Parts, before: str, match: Existing) -> bool:
    """Whether each part that would be written was sent before.

    A blank writes nothing where the CRM shows that there is none.
    """
    fields = ready.wanted.fields
    blanks = {n for n, has in match.fields.items() if not has and not fields.get(n)}
    if blanks:
        parts = {name: one for name, one in parts.items() if name not in blanks}
    return before in ready.older or (before != "" and are_in(parts, before))


def _several(match: Ambiguous) -> str:
    """What is told of an ambiguous one; of many ids the first."""
    if not match.their_ids:
        return f"the CRM does not tell which of its records it is: {match.why}"
    shown = ", ".join(match.their_ids[:_IDS_MAX])
    more = len(match.their_ids) - _IDS_MAX
    words = f"the CRM has several of it: {shown}"
    words += f" and {more:,} more" if more > 0 else ""
    return f"{words}; {match.why}" if match.why else words


def _resumed(
    fields: Mapping[str, str], intent: Intent, match: Match | Merged | None
) -> Plan:
    """What a try before this one was about to do; not with whom has opted out since.

    What of them is there as it would be sent has been sent: it is delivered.
    """
    again = {name: fields[name] for name in intent.fields if name in fields}
    if not (isinstance(match, Existing) and match.do_not_contact):
        return Step(change=intent.change, fields=again, their_id=intent.their_id)
    if not match.has_key or any(match.fields.get(n) != v for n, v in again.items()):
        return _NOT_TO_CONTACT
    return Step(
        change=intent.change,
        fields=again,
        their_id=match.their_id,
        link=match.link,
        has_arrived=True,
    )


def _update(
    ready: Ready, match: Existing, overwrite: Overwrite, *, is_known: bool
) -> Step:
    fields = ready.wanted.fields
    if overwrite is Overwrite.IF_EMPTY:
        empty = {name for name in fields if not match.fields.get(name)}
        # Beside another address than ours, its status is told to nobody.
        fields = {
            name: value
            for name, value in fields.items()
            if name in empty and ready.tells_of.get(name, name) in empty
        }
    if is_known or overwrite is Overwrite.NEVER or not fields:
        return Step(
            change=Change.UNCHANGED,
            fields={},
            their_id=match.their_id,
            link=match.link,
            is_known=is_known,
        )
    return Step(
        change=Change.UPDATED, fields=fields, their_id=match.their_id, link=match.link
    )


def theirs_of(matches: Mapping[str, Match]) -> set[str]:
    """The CRM's ids of what was found."""
    return {match.their_id for match in matches.values() if isinstance(match, Existing)}


def unclaimed(
    matches: Mapping[str, Match], owners: Mapping[str, str]
) -> dict[str, Match | Merged]:
    """Matches by our ids without those that are another of ours already.

    `owners` are ours by their ids. Two of ours that share a domain or an address would
    else overwrite each other for ever; one that was known and is another of ours by
    now has been merged into it.
    """
    taken = dict(owners)
    free: dict[str, Match | Merged] = {}
    for our_id, match in matches.items():
        if isinstance(match, Ambiguous):
            free[our_id] = match
            continue
        owner = taken.setdefault(match.their_id, our_id)
        if owner == our_id:
            free[our_id] = match
        elif match.has_key:
            free[our_id] = Merged(owner)
    return free
