"""Uploads: files of records that were kept."""

from pydantic import BaseModel

from worker.api.models.field_types import ErrorItem


class Upload(BaseModel):
    """A file of records that was kept; `problems` are the first that were left out.

    `trimmed` counts the records that had white space around an id.
    """

    id: str
    records: int
    companies: int
    persons: int
    duplicates: int
    trimmed: int
    problems: list[ErrorItem]
    problems_total: int
