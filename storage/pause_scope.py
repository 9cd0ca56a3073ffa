"""What can be paused besides a job."""

from enum import StrEnum


class PauseScope(StrEnum):
    """Of what kind the thing is; `everything` has no other name."""

    EVERYTHING = "everything"
    LICENSE = "license"
    CONNECTION = "connection"
    PROVIDER = "provider"
