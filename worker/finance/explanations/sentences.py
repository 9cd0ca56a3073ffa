"""The sentences that explain a charge, as a customer can be shown them. Pure.

Plain English, no word of ours that needs explaining, and nothing of what was found.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from storage.finance.explanations.explained_charges import Explained, Payer

_THINGS = {
    "company": "The company",
    "email": "An e-mail address of the person",
    "phone": "A phone number of the person",
}
_PLURAL = {
    "company": "companies",
    "email": "e-mail addresses",
    "phone": "phone numbers",
}
_WEBHOOK = "webhook"
"""The connector that sends to an endpoint which need not be a CRM."""


def sentences_of(one: Explained) -> list[str]:
    """What a charge is for, why it cost what it did, and what came of it."""
    return [
        *_what(one),
        *(_why_of_view(one) if one.job_id is None else _why(one)),
        *_found(one),
        *_quoted(one),
        *_after(one),
    ]


def _what(one: Explained) -> Iterator[str]:
    thing = f"{_THINGS[one.item]} {one.subject}"
    cost = f"cost {_credits(one.credits)}" if one.credits else "cost nothing"
    if one.job_id is None:
        yield (
            f"{one.user_id} viewed the company {one.subject} on "
            f"{_day(one.charged_at)}, which {cost}."
        )
        return
    yield (
        f"{thing} {cost}: it was delivered on {_day(one.charged_at)} in "
        f"{_kind(one)} of {one.user_id}, {one.job_id}."
    )
    record = one.record
    if record is not None:
        who = f"company {record.company_id}"
        if record.person_id is not None:
            who += f", person {record.person_id}"
        yield f"It stands in record {record.number} of the input ({who})." + (
            f" {_number(record.records - 1)} more of its records name it too, at no "
            "further cost."
            if record.records > 1
            else ""
        )


def _kind(one: Explained) -> str:
    if one.kind != "push":
        return "an export" if one.kind == "export" else "a job"
    if one.connector is None:
        return "a push"
    return "a push to a webhook" if one.connector == _WEBHOOK else "a push into a CRM"


def _why_of_view(one: Explained) -> Iterator[str]:
    days = _view_days(one)
    if one.payer is None:
        yield (
            "Under its plan a view of a company costs "
            f"{_credits(one.credits)}, unless it was exported or viewed within the "
            f"{days} days before: this one was not."
        )
        return
    how = "exported" if one.free_because == "exported" else "viewed"
    yield (
        f"It was free, because the company had been {how} within the {days} days "
        f"before: {_payment(one.payer)} paid for it."
    )


def _view_days(one: Explained) -> int:
    assert one.free_since is not None  # noqa: S101 - every view has it
    return (one.charged_at - one.free_since).days


def _why(one: Explained) -> Iterator[str]:
    terms = one.terms or {}
    days, unit = terms.get("window_days"), terms.get(one.item)
    quoted = f"When the job was quoted, on {_day(one.quoted_at)},"
    if terms:
        yield (
            f"Its quote was made under plan {terms.get('plan')}, paid "
            f"{terms.get('payment_term')}: {_rule_of_plan(one.item, unit, days)}"
        )
    match one.rule:
        case "price":
            yield (
                f"Nothing had paid for it in the {days} days before the quote, and "
                "nothing did between the quote and its delivery."
            )
        case "free_as_quoted" if one.payer is not None:
            yield (
                f"{quoted} it was free already: {_payment(one.payer)} had paid for it."
            )
        case "free_as_quoted":
            yield (
                f"{quoted} it was free, and what a quote says is free stays free, "
                "although nothing pays for it any more."
            )
        case "paid_meanwhile" if one.payer is not None:
            yield (
                f"{quoted} it was to cost {_credits(unit)}. By its delivery "
                f"{_payment(one.payer)} had paid for it, so it was free."
            )
        case "unchanged":
            yield (
                f"{_same_before(one)}, so nothing was sent, and what is not sent costs "
                "nothing."
            )


def _same_before(one: Explained) -> str:
    if one.connector is None or one.connector == _WEBHOOK:
        return "It had been sent there before just as it would have been sent now"
    return "It was in the CRM already just as it would have been sent"


def _rule_of_plan(item: str, unit: object, days: object) -> str:
    price = _credits(unit if isinstance(unit, int) else 0)
    if item == "company":
        return (
            f"a company costs {price} when it is delivered, all its contacts "
            f"included, and is then free for {days} days."
        )
    name = "an e-mail address" if item == "email" else "a phone number"
    return f"{name} costs {price} when it is found, and is then free for {days} days."


def _payment(payer: Payer) -> str:
    """The charge that paid, in words."""
    where = f"in {payer.job_id}" if payer.job_id else "for a view"
    back = ""
    if payer.refunded_at is not None:
        note = _by_note(payer.note_number)
        back = f" (given back on {_day(payer.refunded_at)}{note})"
    return f"charge {payer.id} of {_day(payer.charged_at)}, {where}{back},"


def _found(one: Explained) -> Iterator[str]:
    if one.item == "company":
        return
    if one.is_erased:
        yield (
            "The person has been erased since: what was found is not kept any more, "
            "only that it was."
        )
    if one.found is not None:
        name = "our own directory" if one.found.provider == "directory" else None
        yield f"It was found by {name or one.found.provider}."


def _quoted(one: Explained) -> Iterator[str]:
    line = one.line
    if line is not None:
        things = _PLURAL[one.item]
        yield (
            f"The quote counted {_number(line['count'])} {things}, "
            f"{_number(line['free'])} of them free, at most "
            f"{_credits(line['credits'])} for all."
        )
    if one.reserved is not None:
        so_far = "used" if one.is_closed else "has used so far"
        yield (
            f"The job set {_credits(one.reserved)} aside and {so_far} "
            f"{_number(one.settled or 0)} of them"
            + ("; the rest was given back." if _has_rest(one) else ".")
        )


def _has_rest(one: Explained) -> bool:
    return one.is_closed and (one.reserved or 0) > (one.settled or 0)


def _after(one: Explained) -> Iterator[str]:
    if one.free_count:
        lines = "line was" if one.free_count == 1 else "lines were"
        yield (
            f"{_number(one.free_count)} later {lines} free because of this charge: "
            + ", ".join(map(str, one.free_on_it[:5]))
            + (" and others." if one.free_count > 5 else ".")  # noqa: PLR2004 - as shown
        )
    if one.refunded_at is not None:
        note = _by_note(one.note_number)
        yield f"It was given back, in full, on {_day(one.refunded_at)}{note}."


def _by_note(number: int | None) -> str:
    return "" if number is None else f", by credit note {number}"


def _credits(count: object) -> str:
    if not isinstance(count, int):
        return "its price"
    return "1 credit" if count == 1 else f"{_number(count)} credits"


def _number(count: int) -> str:
    return f"{count:,}"


def _day(at: datetime | None) -> str:
    if at is None:
        return "an unknown day"
    exact = at.astimezone(UTC)
    return f"{exact.day} {exact:%B %Y, %H:%M} UTC"
