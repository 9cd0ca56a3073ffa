"""Forecasts of balances, and the thresholds that a license is told of."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from worker.api.models.field_types import Body, Credits
from worker.api.models.licenses import PeriodBounds

Percent = Annotated[StrictInt, Field(ge=1, le=100)]


class NewAlerts(Body):
    """At which points a license is told of its balance, each once a period."""

    used_percent: list[Percent] = Field(
        default=[], description="Of what was granted, spent."
    )
    credits_left: list[Credits] = Field(default=[], description="Available.")


class Alerts(BaseModel):
    """The thresholds of a license."""

    license: str
    used_percent: list[int]
    credits_left: list[int]


class Forecast(BaseModel):
    """How fast a license's credits went of late, and where that leads."""

    license: str
    period: PeriodBounds
    granted: int
    reserved: int
    spent: int
    available: int
    since: datetime = Field(description="From then on use was looked at.")
    used: int = Field(description="Charged since, less refunds.")
    used_per_day: float
    runs_out_at: datetime | None = Field(
        description="None where they last to the period's end."
    )
    left_at_end: int = Field(description="What would expire.")
