"""Explanations as people ask for them."""

from storage.finance.explanations import explained_charges
from storage.finance.explanations.explained_charges import Explained
from worker.finance.explanations.sentences import sentences_of
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.responses.response import Answer


def explain(deps: Deps, charge_id: int) -> Answer:
    """Why a charge cost what it did. Raises `Refused` where there is none."""
    with deps.database.transaction() as connection:
        explained = explained_charges.get(connection, charge_id)
    if explained is None:
        raise Refused(Code.NOT_FOUND, f"there is no charge {charge_id}")
    return answer_of(explained)


def answer_of(explained: Explained) -> Answer:
    """An explanation as clients see it."""
    record, found = explained.record, explained.found
    return {
        "charge": explained.id,
        "license": explained.license_id,
        "job": explained.job_id,
        "user": explained.user_id,
        "item": explained.item,
        "subject": explained.subject,
        "credits": explained.credits,
        "rule": explained.rule,
        "charged_at": instant(explained.charged_at),
        "refunded_at": instant(explained.refunded_at),
        "credit_note": explained.note_number,
        "sentences": sentences_of(explained),
        "record": record
        and {
            "record": record.number,
            "company_id": record.company_id,
            "person_id": record.person_id,
            "records": record.records,
        },
        "terms": explained.terms,
        "quoted_at": instant(explained.quoted_at),
        "quote_line": explained.line,
        "reserved": explained.reserved,
        "settled": explained.settled,
        "paid_by": explained.payer.id if explained.payer else None,
        "free_on_it": explained.free_on_it,
        "free_on_it_total": explained.free_count,
        "finding": found
        and {
            "provider": found.provider,
            "kept": found.is_kept,
            "found_at": instant(found.found_at),
        },
        "person_erased": explained.is_erased,
    }
