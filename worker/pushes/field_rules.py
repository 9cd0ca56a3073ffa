"""What a CRM would refuse, told by its own list of fields. Pure."""

from collections.abc import Mapping

from storage.crm_changes import Change
from worker.connections.connectors.connector import Field, Rejected
from worker.pushes.record_plan import Plan, Step

MISSING_VALUE = "missing_value"
INVALID_OPTION = "invalid_option"


def refusal_of(step: Plan, fields: Mapping[str, Field] | None) -> Rejected | None:
    """Why the CRM would not take what is planned, as far as its fields tell."""
    if fields is None or not isinstance(step, Step) or step.change is Change.UNCHANGED:
        return None
    if step.change is Change.CREATED:
        for name, field in fields.items():
            if field.required and not field.read_only and not step.fields.get(name):
                message = f"{field.label} is required, and empty"
                return Rejected(code=MISSING_VALUE, field=name, message=message)
    for name, value in step.fields.items():
        known = fields.get(name)
        if known and value and not known.takes(value):
            message = f"{value!r} is none of the values that {known.label} has"
            return Rejected(code=INVALID_OPTION, field=name, message=message)
    return None
