"""The vendors' requests and answers as they have published them: names and kinds.

Read in 2026 from hunter.io/api-documentation/v2, docs.peopledatalabs.com (bulk person
enrichment, errors) and the OpenAPI document of docs.fullenrich.com (v2). An object has
no other fields than these; one that the vendor may leave out has a default.
"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Published(BaseModel):
    """An object of a vendor's."""

    model_config = ConfigDict(extra="forbid", strict=True)


# -- Hunter -------------------------------------------------------------------

_HunterStatus = Literal[
    "valid", "invalid", "accept_all", "webmail", "disposable", "unknown"
]


class HunterVerification(Published):
    date: str | None
    status: _HunterStatus | None


class HunterFinding(Published):
    first_name: str
    last_name: str
    email: str | None
    score: int | None
    domain: str
    accept_all: bool
    position: str | None
    twitter: str | None
    linkedin_url: str | None
    phone_number: str | None
    company: str | None
    verification: HunterVerification
    sources: list[JsonValue]


class HunterMeta(Published):
    params: dict[str, str | None]


class HunterFound(Published):
    data: HunterFinding
    meta: HunterMeta


class HunterVerdict(Published):
    status: _HunterStatus
    result: Literal["deliverable", "undeliverable", "risky"]
    score: int
    email: str
    regexp: bool
    gibberish: bool
    disposable: bool
    webmail: bool
    mx_records: bool
    smtp_server: bool
    smtp_check: bool
    accept_all: bool
    block: bool
    sources: list[JsonValue]


class HunterVerified(Published):
    data: HunterVerdict
    meta: HunterMeta


class HunterError(Published):
    id: str
    code: int
    details: str


class HunterErrors(Published):
    errors: list[HunterError] = Field(min_length=1)


# -- People Data Labs ---------------------------------------------------------


class LabsParams(Published):
    first_name: str
    last_name: str
    company: str
    required: str
    data_include: str


class LabsAsked(Published):
    params: LabsParams
    metadata: dict[str, JsonValue]


class LabsRequest(Published):
    requests: list[LabsAsked] = Field(min_length=1, max_length=100)


class LabsProblem(Published):
    type: Literal[
        "invalid_request_error",
        "authentication_error",
        "payment_required",
        "not_found",
        "rate_limit_error",
        "api_error",
    ]
    message: str


class LabsMatch(Published):
    status: Literal[200]
    likelihood: int = Field(ge=1, le=10)
    data: dict[str, JsonValue]
    metadata: dict[str, JsonValue]


class LabsMiss(Published):
    status: int
    error: LabsProblem
    metadata: dict[str, JsonValue]


class LabsError(Published):
    status: int
    error: LabsProblem


LabsAnswer = list[LabsMatch | LabsMiss]

# -- FullEnrich ---------------------------------------------------------------


class EnrichContact(Published):
    first_name: str
    last_name: str
    domain: str
    company_name: str
    enrich_fields: list[
        Literal["contact.work_emails", "contact.phones", "contact.personal_emails"]
    ] = Field(min_length=1)
    custom: dict[str, str] = Field(max_length=10)


class EnrichRequest(Published):
    name: str = Field(min_length=1)
    webhook_url: str | None = None
    data: list[EnrichContact] = Field(min_length=1, max_length=100)


class EnrichTaken(Published):
    enrichment_id: UUID = Field(strict=False)


class EnrichEmail(Published):
    email: str
    status: Literal[
        "DELIVERABLE", "HIGH_PROBABILITY", "CATCH_ALL", "INVALID", "INVALID_DOMAIN"
    ]


class EnrichPhone(Published):
    number: str
    region: str


class EnrichInfo(Published):
    most_probable_work_email: EnrichEmail | None = None
    most_probable_phone: EnrichPhone | None = None
    work_emails: list[EnrichEmail] = []
    phones: list[EnrichPhone] = []


class EnrichInput(Published):
    first_name: str
    last_name: str
    company_domain: str
    company_name: str


class EnrichRecord(Published):
    input: EnrichInput
    custom: dict[str, str]
    contact_info: EnrichInfo


class EnrichCost(Published):
    credits: int


class EnrichReport(Published):
    id: UUID = Field(strict=False)
    name: str
    status: Literal[
        "CREATED",
        "IN_PROGRESS",
        "CANCELED",
        "CREDITS_INSUFFICIENT",
        "FINISHED",
        "RATE_LIMIT",
        "UNKNOWN",
    ]
    data: list[EnrichRecord]
    cost: EnrichCost


class EnrichError(Published):
    code: str = Field(pattern=r"^error(\.[a-z_]+)+$")
    message: str
