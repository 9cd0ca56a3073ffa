"""How asking a CRM can fail; the push decides what follows of it.

ConnectorError
├── Unavailable    no outcome: what was sent may have arrived, and is in doubt
├── Throttled      it wants fewer requests, and says or implies until when
├── Unauthorized   it does not take the secrets (any more): somebody must reconnect
└── Misconfigured  a right, a field or an owner is missing: asking again is no use
"""

from worker.infrastructure.errors import DeliveryError


class ConnectorError(DeliveryError):
    """A CRM did not do what it was asked; the message never holds a secret."""

    waiting_reason = "crm_unavailable"


class Unavailable(ConnectorError):
    """No answer that tells what became of a request.

    Everything that was in it is in doubt until it has been asked again by its key, not
    at once where `until_s` is given. `sent` says that all of the request was written;
    `parks_as` is the code by which a job parks where this keeps coming: what passes as
    a rule, and may be for a person to put right.
    """

    def __init__(
        self,
        message: str,
        until_s: float | None = None,
        *,
        sent: bool = True,
        parks_as: str | None = None,
    ) -> None:
        self.until_s = until_s
        self.sent = sent
        self.parks_as = parks_as
        super().__init__(message)


class Throttled(ConnectorError):
    """Nothing was done: too many requests, and none before `until_s` have passed.

    `daily` says that a day's budget is used up.
    """

    until_s: float

    def __init__(self, message: str, until_s: float, *, daily: bool = False) -> None:
        self.until_s = until_s
        self.daily = daily
        super().__init__(message)


class Unauthorized(ConnectorError):
    """The CRM does not take the connection's secrets.

    `version` says of which secrets, where that is known: others may be there by now.
    """

    version: int | None = None


class Misconfigured(ConnectorError):
    """The connection or the mapping asks for what the CRM does not have or allow.

    `code` is stable: `forbidden`, `unknown_field`, `unknown_owner`, `not_found`, or
    `app_refused` where the CRM does not take our app.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)
