"""How soon a job goes among those of its own license."""

from enum import IntEnum


class Priority(IntEnum):
    """The number is what is kept, the name what people say."""

    LOW = -1
    NORMAL = 0
    HIGH = 1

    @property
    def word(self) -> str:
        """As clients see it."""
        return self.name.lower()
