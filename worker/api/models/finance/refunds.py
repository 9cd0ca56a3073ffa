"""Credit notes: what is asked to be given back, and what became of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from worker.api.models.field_types import Body, ClientId, Name
from worker.refunds.credit_notes import CHARGES_MAX

_BIGINT_MAX = (1 << 63) - 1

ChargeIds = Annotated[
    list[Annotated[StrictInt, Field(ge=1, le=_BIGINT_MAX)]],
    Field(min_length=1, max_length=CHARGES_MAX),
]

NoteState = Literal["awaiting_approval", "booked", "rejected"]


class WantedRefund(Body):
    """Charges of one license, or a job of which all that it paid is given back."""

    charges: ChargeIds | None = None
    job: ClientId | None = None


class NewRefund(WantedRefund):
    """The same, and why; the reason is kept, so name no person of a record."""

    reason: Name


class RejectedRefund(Body):
    """Why nothing is given back."""

    reason: Name


class CreditNote(BaseModel):
    """A refund: of charges or a whole job, booked, or waiting for a second person."""

    id: int
    license: str
    number: int | None = Field(
        description="Given when it is booked, without gaps for each license."
    )
    state: NoteState
    job: str | None
    credits: int = Field(description="Given back; while it waits, asked for.")
    charges: int = Field(description="How many charges it is about.")
    reason: str | None
    author: str
    approver: str | None = Field(description="None where no second person was needed.")
    rejected_by: str | None
    rejection: str | None = Field(description="Why it was rejected.")
    created_at: datetime
    decided_at: datetime | None = Field(description="When it was booked or rejected.")


class ShownCreditNote(CreditNote):
    """The same with what was free on its charges, and stays so."""

    free_on_it: list[int] = Field(description="Charges, the first 500.")
    already_refunded: list[int] = Field(
        description="Charges that something else gave back first; the first 500."
    )


class CreditNoteCharge(BaseModel):
    """A charge that a credit note is about."""

    charge: int
    credits: int
    refunded: bool = Field(description="Whether this note has given it back.")


class RefusedCharge(BaseModel):
    """A charge that cannot be given back."""

    charge: int
    code: Literal[
        "not_found",
        "already_refunded",
        "nothing_to_refund",
        "reservation_open",
        "waits_for_approval",
    ]
    message: str


class CreditNotePreview(BaseModel):
    """What a refund would give back, and what is free on its charges and stays so.

    Charges, quotes that still make a job, and jobs under way: the first 500 of each.
    """

    license: str
    credits: int
    charges: int
    needs_approval: bool
    refused: list[RefusedCharge]
    free_on_it: list[int]
    quotes: list[str]
    jobs: list[str]
