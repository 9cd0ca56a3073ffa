"""Forms: each carries a token of its session, so that no other site can send it.

By WTForms, whose tokens are an HMAC over a random value of the session and an end.
"""

from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import ImmutableMultiDict
from wtforms import Form, PasswordField, StringField
from wtforms.csrf.session import SessionCSRF
from wtforms.validators import DataRequired, Length, ValidationError

from worker.infrastructure.clock import wall_s

REASON_MAX = 500
_KEY_MAX = 500


class _Tokens(SessionCSRF):
    """Tokens that end by UTC, whatever the machine's time zone does meanwhile."""

    def now(self) -> datetime:
        """The instant that ends are told by."""
        return datetime.fromtimestamp(wall_s(), tz=UTC).replace(tzinfo=None)

    def validate_csrf_token(self, form: Any, field: Any) -> None:  # noqa: ANN401 - WTForms ships no types
        """Refuse what comes from no page of this session. Raises `ValidationError`."""
        if "csrf" not in self.session:
            raise ValidationError("this form is of a session that has ended")
        super().validate_csrf_token(form, field)


class ConsoleForm(Form):
    """A form of one session."""

    class Meta:
        """How the token is made."""

        csrf = True
        csrf_class = _Tokens
        csrf_time_limit = timedelta(hours=12)

    def __init__(
        self,
        session: MutableMapping[str, Any],
        secret: str,
        given: ImmutableMultiDict[str, str] | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        meta = {"csrf_context": session, "csrf_secret": secret.encode()}
        super().__init__(given, data=values, meta=meta)

    def problems(self) -> list[str]:
        """What is wrong, field by field, in the order of the form."""
        return [str(each) for found in self.errors.values() for each in found]


class SignInForm(ConsoleForm):
    """The key that opens the console."""

    key = PasswordField(
        "API key", [DataRequired("an API key is needed"), Length(max=_KEY_MAX)]
    )


class ActionForm(ConsoleForm):
    """Why somebody does something."""

    reason = StringField(
        "Reason",
        [
            DataRequired("a reason is needed: it stands in the action log"),
            Length(max=REASON_MAX),
        ],
        filters=[lambda given: given.strip() if given else given],
    )
