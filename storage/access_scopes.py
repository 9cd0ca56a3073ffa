"""The scopes of API keys: what each lets its holder do. Pure."""

from enum import StrEnum


class Scope(StrEnum):
    """What a key may do."""

    PRODUCER = "producer"
    OPERATOR = "operator"
    OBSERVER = "observer"
    """Reads what an operator reads, and steers nothing."""
    FINANCE = "finance"
    ADMIN = "admin"
