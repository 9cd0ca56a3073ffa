"""What is to be done about one company or person of a push, before it is done. Pure.

The same decision serves the push and its dry run. What was intended by a try that did
not come to its end is intended still: the CRM may hold what that try has sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storage.id_map import Entry
from storage.intents import Intent
from storage.states import Change
from worker.connectors import Ambiguous, Existing, Match, Rejected
from worker.pushes import Overwrite
from worker.values import Ready

AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done: `fields` are written to `their_id`, or to a new record.

    `is_known` says that nothing is, for the CRM has it as we have sent it.
    """

    change: Change
    fields: Mapping[str, str]
    their_id: str | None
    link: str | None = None
    is_known: bool = False


def step_of(
    ready: Ready,
    *,
    known: Entry | None,
    intent: Intent | None,
    match: Match | None,
    overwrite: Overwrite,
) -> Step | Rejected:
    """What is to be done about one of them; an ambiguous one is nobody's to decide."""
    fields = ready.wanted.fields
    if intent is not None:
        again = {name: fields[name] for name in intent.fields if name in fields}
        return Step(change=intent.change, fields=again, their_id=intent.their_id)
    if known is not None and known.digest == ready.digest:
        return Step(
            change=Change.UNCHANGED, fields={}, their_id=known.their_id, is_known=True
        )
    if match is None:
        return Step(change=Change.CREATED, fields=fields, their_id=None)
    if isinstance(match, Ambiguous):
        ids = ", ".join(match.their_ids)
        return Rejected(code=AMBIGUOUS, message=f"the CRM has several of it: {ids}")
    if overwrite is Overwrite.IF_EMPTY:
        fields = {
            name: value for name, value in fields.items() if not match.fields.get(name)
        }
    if overwrite is Overwrite.NEVER or not fields:
        return Step(
            change=Change.UNCHANGED,
            fields={},
            their_id=match.their_id,
            link=match.link,
        )
    return Step(
        change=Change.UPDATED, fields=fields, their_id=match.their_id, link=match.link
    )


def theirs_of(matches: Mapping[str, Match]) -> set[str]:
    """The CRM's ids of what was found."""
    return {match.their_id for match in matches.values() if isinstance(match, Existing)}


def unclaimed(
    matches: Mapping[str, Match], owners: Mapping[str, str]
) -> dict[str, Match]:
    """Matches by our ids without those that are another of ours already.

    `owners` are ours by their ids. Two of ours that share a domain or an address would
    else overwrite each other for ever.
    """
    taken = dict(owners)
    return {
        our_id: match
        for our_id, match in matches.items()
        if isinstance(match, Ambiguous)
        or match.has_key
        or taken.setdefault(match.their_id, our_id) == our_id
    }
