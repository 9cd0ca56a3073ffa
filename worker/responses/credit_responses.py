"""Charges, balances and costs as clients see them."""

from collections.abc import Sequence

from storage.finance.transfers import Transfer
from storage.findings.provider_costs import Charged, Cost
from storage.ledger.balances import Balance
from storage.ledger.charges import Charge
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_charge(charge: Charge) -> Answer:
    """A charge."""
    return {
        "id": charge.id,
        "license": charge.license_id,
        "job": charge.job_id,
        "view": charge.view_id,
        "user": charge.user_id,
        "item": charge.item,
        "subject": charge.subject,
        "credits": charge.credits,
        "rule": charge.rule,
        "paid_by": charge.paid_by,
        "charged_at": instant(charge.charged_at),
        "refunded_at": instant(charge.refunded_at),
    }


def of_transfer(transfer: Transfer) -> Answer:
    """A transfer."""
    return {
        "id": transfer.id,
        "license": transfer.license_id,
        "period": instant(transfer.period_starts_at),
        "kind": transfer.kind,
        "from_account": transfer.from_account,
        "to_account": transfer.to_account,
        "credits": transfer.credits,
        "job": transfer.job_id,
        "reference": transfer.reference,
        "created_at": instant(transfer.created_at),
    }


def of_balance(balance: Balance) -> Answer:
    """A period's credits."""
    return {
        "period": {
            "starts_at": instant(balance.starts_at),
            "ends_at": instant(balance.ends_at),
        },
        "granted": balance.granted,
        "reserved": balance.reserved,
        "spent": balance.spent,
        "expired": balance.expired,
        "available": balance.available,
    }


def of_costs(job_id: str, charged: Sequence[Charged], paid: Sequence[Cost]) -> Answer:
    """What a job was charged, and what each provider was paid in its own credits."""
    return {
        "job": job_id,
        "charged": [line._asdict() for line in charged],
        "paid": [
            {
                "provider": cost.provider,
                "answers": cost.answers,
                # Exact: a number in JSON is a float to most.
                "paid": f"{cost.paid.normalize():f}",
            }
            for cost in paid
        ],
    }
