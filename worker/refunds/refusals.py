"""Why charges are not given back, as people are told."""

from collections.abc import Sequence

from storage.refunds.credit_notes import DecideResult, Decision, MakeResult
from storage.refunds.refunds import RefundResult, RefusedCharge
from worker.infrastructure.errors import Code, Refused

_WHY = {
    RefundResult.NOT_FOUND: "there is no charge {}",
    RefundResult.ALREADY_REFUNDED: "charge {} was refunded before",
    RefundResult.NOTHING_TO_REFUND: "charge {} has cost nothing",
    RefundResult.RESERVATION_OPEN: "the job of charge {} has not ended",
    RefundResult.WAITS_FOR_APPROVAL: "charge {} waits in another refund for approval",
}
_SHOWN = 10

NEEDS_A_PERSON = (
    "so much needs a second person's approval, and this key names no person as the "
    "first: use one that does"
)


def why(refused: RefusedCharge) -> str:
    """Why a charge cannot be given back."""
    return _WHY[refused.why].format(refused.charge_id)


def of_charges(refused: Sequence[RefusedCharge]) -> Refused:
    """The refusal that a refund of several charges ends in; the first are named."""
    missing = [one for one in refused if one.why is RefundResult.NOT_FOUND]
    told = "; ".join(why(one) for one in (missing or refused)[:_SHOWN])
    more = len(missing or refused) - _SHOWN
    detail = f"{told}; and {more} more" if more > 0 else told
    return Refused(Code.NOT_FOUND if missing else Code.WRONG_STATE, detail)


def of_decision(decision: Decision) -> Refused | None:
    """The refusal that a credit note ends in before it is made; None: it is fine."""
    match decision.result:
        case MakeResult.REFUSED:
            return of_charges(decision.refused)
        case MakeResult.NOTHING_LEFT:
            job_id = decision.wanted.job_id
            detail = f"job {job_id} has no charge that is still to be refunded"
            return Refused(Code.WRONG_STATE, detail)
        case MakeResult.NEEDS_A_PERSON:
            return Refused(Code.FORBIDDEN, NEEDS_A_PERSON)
        case MakeResult.BOOKED | MakeResult.AWAITING_APPROVAL:
            return None


_UNDECIDED = {
    DecideResult.NOT_FOUND: (Code.NOT_FOUND, "there is no refund {}"),
    DecideResult.NOT_WAITING: (Code.WRONG_STATE, "refund {} does not wait"),
    DecideResult.NEEDS_A_PERSON: (
        Code.FORBIDDEN,
        "refund {} is approved by a key that names a person, and this one does not",
    ),
    DecideResult.SAME_PERSON: (
        Code.FORBIDDEN,
        "refund {} is approved by another person than the one who has asked for it",
    ),
    DecideResult.NOTHING_LEFT: (
        Code.WRONG_STATE,
        "all charges of refund {} were refunded meanwhile: reject it",
    ),
}


def of_result(note_id: int, result: DecideResult) -> Refused | None:
    """The refusal that a decision on a note ends in; None: it is done."""
    if result is DecideResult.DONE:
        return None
    code, detail = _UNDECIDED[result]
    return Refused(code, detail.format(note_id))
