"""A statement as JSON: what clients are answered, and what is kept once it is frozen.

The way back is here too: every other format of a frozen statement is rendered from
the document that is kept.
"""

import json
from datetime import datetime

from storage.finance.statements.lines import (
    Accounts,
    Line,
    Previous,
    Section,
    Statement,
)
from worker.infrastructure.clock import instant
from worker.responses.response import Answer

_LISTS = {
    Section.MOVEMENT: "movements",
    Section.TOP_UP: "top_ups",
    Section.CREDIT_NOTE: "credit_notes",
    Section.ITEM: "by_item",
    Section.USER: "by_user",
    Section.JOB: "by_job",
    Section.LATE: "late",
    Section.MEMO: "memo",
}
"""Where the lines of a section stand."""

_KEYS = {
    Section.MOVEMENT: "kind",
    Section.TOP_UP: "reference",
    Section.CREDIT_NOTE: "number",
    Section.LATE: "kind",
    Section.MEMO: "kind",
}
"""What the key of a line is called; else simply that."""


def document_of(statement: Statement) -> Answer:
    """The statement as an object of JSON."""
    ends = {
        line.section: line.accounts._asdict()
        for line in statement.lines
        if line.section not in _LISTS and line.accounts is not None
    }
    return {
        "license": statement.license_id,
        "period": {
            "starts_at": instant(statement.starts_at),
            "ends_at": instant(statement.ends_at),
        },
        "run": statement.run,
        "previous": _of_previous(statement.previous),
        "opening": ends[Section.OPENING],
        **{
            name: [_of_line(line) for line in statement.of(section)]
            for section, name in _LISTS.items()
        },
        "closing": ends[Section.CLOSING],
        "head": statement.head,
        "frozen_at": instant(statement.frozen_at),
    }


def encoded(document: Answer) -> str:
    """The one spelling in which a document is kept and answered."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _of_previous(previous: Previous | None) -> Answer | None:
    if previous is None:
        return None
    return {
        "starts_at": instant(previous.starts_at),
        "run": previous.run,
        "head": previous.head,
        "closing": previous.closing._asdict(),
    }


def _of_line(line: Line) -> Answer:
    """Those members that lines of its section have."""
    section = line.section
    key: str | int | None = line.key
    if section is Section.CREDIT_NOTE and line.key is not None:
        key = int(line.key)
    answer: Answer = {_KEYS.get(section, "key"): key}
    if section in {Section.CREDIT_NOTE, Section.LATE, Section.MEMO, Section.JOB}:
        answer["job"] = line.job
    if section is not Section.MEMO:
        answer["credits"] = line.credits
    if section in {Section.ITEM, Section.USER, Section.JOB}:
        answer["refunded"] = line.refunded
    answer["count"] = line.count
    if section is Section.MEMO:
        answer["period"] = instant(line.at)
    elif section in {Section.TOP_UP, Section.CREDIT_NOTE, Section.LATE}:
        answer["at"] = instant(line.at)
    if line.accounts is not None:
        answer |= line.accounts._asdict()
    return answer


def statement_of(document: Answer) -> Statement:
    """The statement that a document is of."""
    previous = document["previous"]
    return Statement(
        license_id=document["license"],
        starts_at=datetime.fromisoformat(document["period"]["starts_at"]),
        ends_at=datetime.fromisoformat(document["period"]["ends_at"]),
        run=document["run"],
        lines=tuple(_lines(document)),
        previous=None
        if previous is None
        else Previous(
            starts_at=datetime.fromisoformat(previous["starts_at"]),
            closing=Accounts(**previous["closing"]),
            run=previous["run"],
            head=previous["head"],
        ),
        head=document["head"],
        frozen_at=_instant(document["frozen_at"]),
    )


def _lines(document: Answer) -> list[Line]:
    lines = []
    for section in Section:
        if section in _LISTS:
            lines += [_line(section, one) for one in document[_LISTS[section]]]
        else:
            accounts = Accounts(**document[section.value])
            lines.append(Line(section=section, accounts=accounts))
    return lines


def _line(section: Section, answer: Answer) -> Line:
    moves = section is Section.MOVEMENT
    key = answer[_KEYS.get(section, "key")]
    return Line(
        section=section,
        key=None if key is None else str(key),
        job=answer.get("job"),
        count=answer["count"],
        credits=answer.get("credits"),
        refunded=answer.get("refunded"),
        accounts=Accounts(*(answer[name] for name in Accounts._fields))
        if moves
        else None,
        at=_instant(answer.get("at") or answer.get("period")),
    )


def _instant(given: str | None) -> datetime | None:
    return None if given is None else datetime.fromisoformat(given)
