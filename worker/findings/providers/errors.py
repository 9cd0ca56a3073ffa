"""Why a provider has not answered: what the waterfall does next depends on it.

`until_s` are seconds from now, where the vendor says when it may be asked again.
"""


class ProviderError(Exception):
    """Nothing was answered for the persons asked about; none of it counts as found."""

    def __init__(self, message: str, until_s: float | None = None) -> None:
        super().__init__(message)
        self.until_s = until_s


class RateLimited(ProviderError):
    """Too many requests for now: the provider pauses for everybody."""


class OutOfCredits(ProviderError):
    """We have nothing left to pay the vendor with."""


class Unavailable(ProviderError):
    """Down, too slow, or not to be understood; asking again is safe."""


class InDoubt(ProviderError):
    """A submitted request of which nobody knows whether it has arrived.

    It may have, and be paid for, so it is never sent again.
    """


class Misconfigured(ProviderError):
    """The vendor does not take our key: a person must see to it."""


class BadSignature(ProviderError):
    """A webhook that the vendor has not signed."""
