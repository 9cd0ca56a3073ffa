"""Settings that are read once, from the environment, and never change.

A class names its settings as annotated attributes; `setting` gives one its default and
its bounds. What is given by name goes before the environment.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

from worker.infrastructure.environment.values import Bounds, shown, value_of
from worker.infrastructure.errors import NotConfigured

_NOBODYS = re.compile(r"(service_|port$|port_|test_)")
"""What Kubernetes tells every container of a service that is called like us, and what
our tests are told."""


class Setting(NamedTuple):
    """A setting's default, or what makes one, and what its values keep to.

    `example` is a value that would do, where the default is none to show.
    """

    default: Any = None
    factory: Callable[[], Any] | None = None
    bounds: Bounds = Bounds()
    example: str | None = None


def setting(
    default: Any = None,  # noqa: ANN401 - of the setting's own type
    *,
    factory: Callable[[], Any] | None = None,
    example: str | None = None,
    **bounds: Any,  # noqa: ANN401 - of `Bounds`
) -> Any:  # noqa: ANN401 - as its attribute is annotated
    """A setting with bounds, or with a default that is made when it is needed."""
    return Setting(default, factory, Bounds(**bounds), example)


class WrongSettings(NotConfigured):
    """Settings that cannot be used, by name: the value, why, and one that would do."""

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
    unknown: Mapping[str, str | None]
    """Variables that are no setting, each with the name that it is nearest to."""

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
        prefixed = self._prefixed()
        found = {
            name: prefixed[name] for name in self.model_fields if name in prefixed
        } | given
        wrong = {}
        for name, field in self.model_fields.items():
            try:
                self.__dict__[name] = self._value(name, field, found)
            except ValueError as error:
                wrong[self.variable(name)] = self._why(name, found[name], error)
        if not wrong:
            wrong = {self.variable(name): why for name, why in self.conflicts()}
        if wrong:
            raise WrongSettings(wrong)
        self.__dict__["model_fields_set"] = frozenset(found)
        self.__dict__["unknown"] = self._nearest_of(prefixed)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Settings that do not go with others, and why not."""
        return iter(())

    @classmethod
    def variable(cls, name: str) -> str:
        """The variable of a setting."""
        return f"{cls.prefix}{name.upper()}"

    def _why(self, name: str, given: object, error: ValueError) -> str:
        field = self.model_fields[name]
        example = field.example
        if example is None and field.default not in (None, ""):
            example = str(field.default)
        such_as = f", such as {example}" if example else ""
        return f"{shown(given, self._kinds[name])} {error}{such_as}"

    @classmethod
    def _nearest_of(cls, prefixed: Mapping[str, object]) -> dict[str, str | None]:
        nearest: dict[str, str | None] = {}
        for name in sorted(prefixed.keys() - cls.model_fields.keys()):
            if _NOBODYS.match(name):
                continue
            found = get_close_matches(name, cls.model_fields, n=1)
            nearest[cls.variable(name)] = cls.variable(found[0]) if found else None
        return nearest

    def _value(self, name: str, field: Setting, found: Mapping[str, object]) -> Any:  # noqa: ANN401 - of the setting's own type
        if name in found:
            return value_of(found[name], self._kinds[name], field.bounds)
        return field.default if field.factory is None else field.factory()

    @classmethod
    def _prefixed(cls) -> dict[str, object]:
        prefix = cls.prefix.lower()
        return {
            name.lower().removeprefix(prefix): text
            for name, text in os.environ.items()
            if name.lower().startswith(prefix)
        }

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
