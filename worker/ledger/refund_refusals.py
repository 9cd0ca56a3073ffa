"""Why a charge is not given back, as people are told."""

from storage.ledger.refunds import RefundResult
from worker.infrastructure.errors import Code, Refused

_WHY = {
    RefundResult.ALREADY_REFUNDED: "charge {} was refunded before",
    RefundResult.NOTHING_TO_REFUND: "charge {} has cost nothing",
    RefundResult.RESERVATION_OPEN: "the job of charge {} has not ended",
}


def refusal_of(charge_id: int, result: RefundResult) -> Refused:
    """The refusal that a refund ends in that was not booked."""
    if result is RefundResult.NOT_FOUND:
        return Refused(Code.NOT_FOUND, f"there is no charge {charge_id}")
    return Refused(Code.WRONG_STATE, _WHY[result].format(charge_id))
