"""What becomes of a record in a CRM: what was done to it, or would be. Pure."""

from enum import StrEnum


class Change(StrEnum):
    """What was done to a company or person in a CRM."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """Nothing was sent: it was there already, or was not to be touched."""


class Forecast(StrEnum):
    """What would become of a record, were it pushed now."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    AMBIGUOUS = "ambiguous"
    """Several records of the CRM match it."""
    REFUSED = "refused"
    EXCLUDE = "exclude"
    """The customer has deleted it there, or says not to contact the person."""
