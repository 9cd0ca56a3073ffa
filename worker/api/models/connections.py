"""Connections to CRMs, and what a push to one would do."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from worker.api.models.field_types import Body, ClientId, Name, Page
from worker.api.models.jobs import JobError

Text = Annotated[StrictStr, Field(min_length=1, max_length=2_000)]
Setting = Text | StrictInt | StrictBool
ReturnUrl = Annotated[
    StrictStr,
    Field(
        max_length=2_000,
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1)(:[0-9]+)?([/?#]|$))\S*$",
    ),
]
"""Who consents is sent there, by HTTPS but on one's own machine."""


class NewConnection(Body):
    """How to reach a CRM, and as whom.

    `odoo` has the settings url and database and the secret api_key, `hubspot` the
    secret access_token, `salesforce` the setting url and the secret access_token,
    `pipedrive` url and api_token, `webhook` url and signing_secret; `batch_records`
    sends fewer at once.
    """

    license: ClientId
    connector: Literal["odoo", "hubspot", "salesforce", "pipedrive", "webhook"]
    name: Name
    settings: Annotated[dict[str, Setting], Field(max_length=20)] = Field(default={})
    secrets: Annotated[dict[str, Text], Field(max_length=20)] = Field(default={})


class NewSecrets(Body):
    """Other secrets of a connection, in the place of those it has."""

    secrets: Annotated[dict[str, Text], Field(max_length=20)]


class NewAuthorization(Body):
    """A connection that somebody is to consent to, or with `connection` to renew.

    Whoever comes back is sent on to `return_url`, with `connection` or `error`.
    """

    license: ClientId
    connector: Literal["hubspot", "salesforce", "pipedrive"]
    name: Name = "CRM"
    settings: Annotated[dict[str, Setting], Field(max_length=20)] = Field(default={})
    connection: ClientId | None = None
    return_url: ReturnUrl | None = None


class Authorization(BaseModel):
    """Where to send them, and until when they may come back."""

    url: str
    expires_at: datetime


class Connection(BaseModel):
    """A connection; its secrets are never answered."""

    id: str
    license: str
    connector: str
    name: str
    state: Literal["active", "needs_reconnect"]
    settings: dict[str, Any]
    created_at: datetime


class TestedConnection(Connection):
    """A connection, and what its CRM has said to it."""

    ok: bool
    code: str | None
    detail: str | None


class CrmField(BaseModel):
    """A field of a CRM; `options` are the values it takes, where they are few.

    One that `is_open` takes others too.
    """

    name: str
    label: str
    type: str
    required: bool
    read_only: bool
    options: list[str]
    multiple: bool
    is_open: bool


class ConnectionFields(BaseModel):
    """What a mapping can name; null where the CRM takes any name."""

    company: list[CrmField] | None
    person: list[CrmField] | None


class DryRun(BaseModel):
    """What a push would do, as far as that has been found out."""

    id: str
    license: str
    state: Literal["queued", "running", "succeeded", "failed"]
    create: int
    update: int
    unchanged: int
    ambiguous: int
    refused: int
    exclude: int
    created_at: datetime
    finished_at: datetime | None
    error: JobError | None


class DryRunItem(BaseModel):
    """What would become of one record."""

    record: int
    outcome: Literal["create", "update", "unchanged", "ambiguous", "refused", "exclude"]
    code: str | None
    message: str | None


class ShownDryRun(DryRun):
    """A dry run with a page of its records."""

    items: Page[DryRunItem]
