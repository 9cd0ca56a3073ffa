"""Settings that are read once, from the environment, and never change.

A class names its settings as annotated attributes; `setting` gives one its default and
its bounds. What is given by name goes before the environment.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

from worker.infrastructure.environment.values import Bounds, value_of
from worker.infrastructure.errors import NotConfigured


class Setting(NamedTuple):
    """A setting's default, or what makes one, and what its values keep to."""

    default: Any = None
    factory: Callable[[], Any] | None = None
    bounds: Bounds = Bounds()


def setting(
    default: Any = None,  # noqa: ANN401 - of the setting's own type
    *,
    factory: Callable[[], Any] | None = None,
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
    length_min: int | None = None,
    one_of: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - as its attribute is annotated
    """A setting with bounds, or with a default that is made when it is needed."""
    return Setting(default, factory, Bounds(gt, ge, le, length_min, one_of))


class WrongSettings(NotConfigured):
    """Settings that cannot be used, by name, and why."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        words = "; ".join(f"{name}: {why}" for name, why in problems.items())
        super().__init__(words)


class EnvironmentSettings:
    """Settings of the environment; its variables begin with `prefix`."""

    prefix: ClassVar[str]
    model_fields: ClassVar[dict[str, Setting]]
    """What can be set, by name."""
    model_fields_set: frozenset[str]
    """What was set, rather than left at its default."""

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls)
        own = [name for name in cls.__annotations__ if name in vars(cls)]
        cls._kinds = {name: hints[name] for name in own}
        cls.model_fields = {
            name: found if isinstance(found, Setting) else Setting(found)
            for name in own
            for found in [getattr(cls, name, None)]
        }

    _kinds: ClassVar[dict[str, Any]]

    def __init__(self, **given: object) -> None:
        """Read what is not given. Raises `WrongSettings`."""
        if unknown := given.keys() - self.model_fields.keys():
            raise TypeError(f"there is no setting {', '.join(sorted(unknown))}")
        found = self._of_environment() | given
        wrong = {}
        for name, field in self.model_fields.items():
            try:
                self.__dict__[name] = self._value(name, field, found)
            except ValueError as error:
                wrong[f"{self.prefix}{name.upper()}"] = str(error)
        if wrong:
            raise WrongSettings(wrong)
        self.__dict__["model_fields_set"] = frozenset(found)

    def _value(self, name: str, field: Setting, found: Mapping[str, object]) -> Any:  # noqa: ANN401 - of the setting's own type
        if name in found:
            return value_of(found[name], self._kinds[name], field.bounds)
        return field.default if field.factory is None else field.factory()

    @classmethod
    def _of_environment(cls) -> dict[str, object]:
        prefixed = {
            name.lower().removeprefix(cls.prefix.lower()): text
            for name, text in os.environ.items()
            if name.lower().startswith(cls.prefix.lower())
        }
        return {name: prefixed[name] for name in cls.model_fields if name in prefixed}

    def model_copy(self, *, update: Mapping[str, object] | None = None) -> Self:
        """The same settings, but for some; of these the types are the caller's care."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **dict(update or {}))
        copy.__dict__["model_fields_set"] = self.model_fields_set | set(update or {})
        return copy

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings never change: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        values = ((name, self.__dict__[name]) for name in self.model_fields)
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in values)})"
