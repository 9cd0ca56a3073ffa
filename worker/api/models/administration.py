"""Keys, and the erasing of persons."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from worker.api.models.field_types import Body, ClientId, Instant, Name, RecordId


class NewKey(Body):
    """Who may call: with a `license` only for that one, without for all."""

    name: Name
    scope: Literal["producer", "operator", "observer", "finance", "admin"]
    license: ClientId | None = None
    expires_at: Instant | None = None


class KeyEnd(Body):
    """Until when a key may be used."""

    expires_at: Instant | None


class Key(BaseModel):
    """A key, without what is secret. `person` is who holds it, where that was said."""

    id: str
    name: str
    scope: str
    license: str | None
    person: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewlyMadeKey(Key):
    """A key with what is secret, which is shown this once; null when asked again."""

    key: str | None


class NewErasure(Body):
    """Whom to erase: for everybody, or from what is kept for one license."""

    person_id: RecordId
    license: ClientId | None = None


class ErasedCounts(BaseModel):
    """How many entries, findings, files and so on were removed or written again."""

    directory: int
    findings: int
    raw_files: int
    uploads: int
    inputs: int
    rejections: int
    reasons: int
    files: int


class Erasure(BaseModel):
    """What was removed of a person; the jobs under way will leave no file."""

    person: str
    license: str | None
    erased: ErasedCounts
    jobs_under_way: list[str]
