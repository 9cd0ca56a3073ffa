"""What a measurement found: ratios first, then what they were made of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, TypeVar

from bench.installations.installation import Differs

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must reach: at least, or at most."""

    value: float
    at_most: bool

    def is_met(self, value: float) -> bool:
        """Whether a figure reaches it."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        """It as it is written in the tables."""
        return f"{'<=' if self.at_most else '>='} {self.value:g}"


def at_most(value: float) -> Goal:
    """Lower is better."""
    return Goal(value, at_most=True)


def at_least(value: float) -> Goal:
    """Higher is better."""
    return Goal(value, at_most=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the tables: a value for each round, a ratio where it has no unit."""

    what: str
    values: Sequence[float]
    goal: Goal | None = None
    unit: str = ""
    absolute: str = ""
    held: str = ""
    """Its name in the dose's baseline; empty where CI does not hold it."""

    @property
    def more_is_better(self) -> bool:
        """Whether it is a speed; all others are costs."""
        return self.goal is not None and not self.goal.at_most

    @property
    def median(self) -> float:
        """What the figure is judged by."""
        return median(self.values)

    def __str__(self) -> str:
        """Median and range."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{spread(self.values)}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What one side costs, by its parts; one value of each a round."""

    label: str
    parts: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A measurement's table and plot, with the runs that did not count."""

    title: str
    sizes: str
    figures: Sequence[Figure]
    unit: str = ""
    bars: Sequence[Bar] = ()
    lost: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """It as it is kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Section":
        """It as it was kept."""
        figures = [
            Figure(**one | {"goal": Goal(**one["goal"]) if one["goal"] else None})
            for one in kept["figures"]
        ]
        bars = [Bar(**one) for one in kept["bars"]]
        return cls(**kept | {"figures": figures, "bars": bars})


@dataclass(slots=True)
class Rounds:
    """Runs in turn; one whose totals differ does not count, and that is said."""

    lost: list[str] = field(default_factory=list)

    def of(self, count: int, run: Callable[[int], _T]) -> list[_T]:
        """What each round that counts gave. Raises `Differs` where none did."""
        found = []
        for number in range(count):
            try:
                found.append(run(number))
            except Differs as error:
                self.lost.append(f"round {number + 1}: {error}")
                say(f"round {number + 1} does not count: {error}")
        if not found:
            raise Differs(f"no round counts: {'; '.join(self.lost)}")
        return found


def quotients(over: Iterable[float], under: Iterable[float]) -> list[float]:
    """The ratios of two sides, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Median and range, with as many digits as can mean something."""
    middle = short(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({short(min(values))}-{short(max(values))})"


_WHOLE, _ONE_DIGIT, _TWO_DIGITS = 100, 10, 0.1


def short(value: float) -> str:
    """A number with as many digits as can mean something."""
    size = abs(value)
    if size >= _WHOLE:
        return f"{value:,.0f}"
    if size >= _ONE_DIGIT:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= _TWO_DIGITS or not size else f"{value:.3f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def say(words: str) -> None:
    """Tell whoever watches."""
    print(f"    {words}", flush=True)
