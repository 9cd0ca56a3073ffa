"""Uploads: files of records that were kept."""

from pydantic import BaseModel

from worker.api.models.field_types import ErrorItem


class Upload(BaseModel):
    """A file of records that was kept; `problems` are the first that were left out."""

    id: str
    records: int
    companies: int
    persons: int
    duplicates: int
    problems: list[ErrorItem]
    problems_total: int
