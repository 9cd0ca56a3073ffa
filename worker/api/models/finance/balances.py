"""Forecasts of balances, and the thresholds that a license is told of."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from worker.api.models.field_types import Body, Credits
from worker.api.models.licenses import PeriodBounds
from worker.finance.balances.overview_links import LASTS_S, LASTS_S_MAX

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


class UsedByUser(BaseModel):
    """What a user has used: charges, less refunds."""

    user: str
    credits: int
    count: int


class UsedByKind(BaseModel):
    """What exports, pushes or views have used."""

    kind: Literal["export", "push", "view"]
    credits: int
    count: int


class Overview(BaseModel):
    """A period of a license as its own admin sees it."""

    license: str
    name: str
    period: PeriodBounds
    granted: int
    used: int
    reserved: int
    expired: int
    remaining: int
    by_user: list[UsedByUser]
    by_kind: list[UsedByKind]


class OverviewJobCredits(BaseModel):
    """A job with the credits that it used: settled, less refunds."""

    job: str
    kind: Literal["export", "push"]
    name: str | None
    user: str
    state: str
    created_at: datetime
    reserved: int
    credits: int


class NewOverviewLink(Body):
    """How long a link is to open; seconds, a week by default."""

    lasts_s: Annotated[StrictInt, Field(ge=1, le=LASTS_S_MAX)] = LASTS_S


class OverviewLink(BaseModel):
    """A link to the overview, for whoever is given it."""

    url: str
    expires_at: datetime
