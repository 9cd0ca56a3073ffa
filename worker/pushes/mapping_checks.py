"""Whether a mapping fits the fields that a CRM has, before anything is paid or sent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pricing.plans import Item
from storage.crm_changes import Change
from worker.connections.connectors.connector import Field, Kind, Rejected
from worker.connections.crm_fields import Fields
from worker.infrastructure.errors import Problem
from worker.pushes.push_options import Push, column_of
from worker.pushes.record_plan import Plan, Step
from worker.quotes.problems import Problems
from worker.quotes.readers.record_columns import Records

MISSING_VALUE = "missing_value"
INVALID_OPTION = "invalid_option"


class Misfit(NamedTuple):
    """A source whose target cannot be written."""

    kind: Kind
    message: str


def misfits(
    kind: Kind, targets: Mapping[str, str], fields: Mapping[str, Field] | None
) -> Iterator[Misfit]:
    """The targets, by source, that a CRM does not have or lets nobody write."""
    for source, target in targets.items() if fields is not None else ():
        there = (fields or {}).get(base_of(target))
        if there is None:
            yield Misfit(kind, f"the CRM has no field {target!r} ({source})")
        elif there.read_only:
            yield Misfit(kind, f"nobody may write the field {target!r} ({source})")


def lacking(
    targets: Mapping[str, str], fields: Mapping[str, Field] | None
) -> Iterator[str]:
    """The fields that a CRM requires of each record, and that nothing fills."""
    filled = {base_of(target) for target in targets.values()}
    for name, field in (fields or {}).items():
        if field.required and not field.read_only and name not in filled:
            yield name


def base_of(target: str) -> str:
    """The field that a target belongs to: Odoo's may be paths."""
    return target.partition("/")[0]


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


class OptionValues:
    """Looks at what records would put into fields that take few values."""

    def __init__(
        self, push: Push, retrieve: Sequence[Item], fields: Fields | None
    ) -> None:
        self._problems = Problems()
        self._few = [
            (source, column, field)
            for kind, own in push.mapping.items()
            for source, target in own.items()
            for field in (((fields or {}).get(kind) or {}).get(target or ""),)
            for column in (column_of(source, retrieve),)
            if field is not None and field.options and column is not None
        ]

    def look_at(self, batch: Records) -> None:
        """Note the values that no field takes."""
        if not self._few:
            return
        for record in batch.each():
            for source, column, field in self._few:
                value = record.fields.get(column, "").strip()
                if value and not field.takes(value):
                    message = f"{value!r} is none of the values that {field.name} takes"
                    self._problems.add([Problem(record.number, source, message)])

    def raise_if_any(self) -> None:
        """Raise what was noted as `BadInput`."""
        self._problems.raise_if_any()
