"""How a run of a task ended: a value, so that one place decides what it means."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """The work was done, by this run."""


@dataclass(frozen=True, slots=True)
class Later:
    """The work was given back: somebody goes on after `after_s`."""

    after_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Never:
    """There was nothing to do here: done, held by somebody else, or taken away."""

    why: str


TaskResult = Done | Later | Never
