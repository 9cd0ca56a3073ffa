"""Connections to CRMs, and what a push to one would do."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictInt, StrictStr

from worker.api.models.ground import Body, ClientId, Name, Page
from worker.api.models.jobs import JobError

Text = Annotated[StrictStr, Field(min_length=1, max_length=2_000)]
Setting = Text | StrictInt


class NewConnection(Body):
    """How to reach a CRM, and as whom.

    `odoo` has the settings url and database and the secret api_key, `hubspot` the
    secret access_token; `batch_records` sends fewer at once.
    """

    license: ClientId
    connector: Literal["odoo", "hubspot", "salesforce", "pipedrive", "webhook"]
    name: Name
    settings: Annotated[dict[str, Setting], Field(max_length=20)] = Field(default={})
    secrets: Annotated[dict[str, Text], Field(max_length=20)] = Field(default={})


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
    created_at: datetime
    finished_at: datetime | None
    error: JobError | None


class DryRunItem(BaseModel):
    """What would become of one record."""

    record: int
    outcome: Literal["create", "update", "unchanged", "ambiguous", "refused"]
    code: str | None
    message: str | None


class ShownDryRun(DryRun):
    """A dry run with a page of its records."""

    items: Page[DryRunItem]
