"""Sessions: who has signed in, in a signed cookie that is short-lived.

The cookie holds the id of an API key, never the key. Each request looks the key up, so
a session ends with its key; it also ends after a while without a request, and at the
latest so long after the sign-in.
"""

from typing import Any

from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from storage.database import Database
from storage.licenses import api_keys
from storage.licenses.api_keys import Key
from worker.console.page_table import SIGN_IN
from worker.infrastructure.clock import wall_s
from worker.infrastructure.keyring import Keyring

COOKIE = "holdfast_console"
_RENEWED_AFTER_S = 60
_KEY, _BEGAN, _SEEN = "key", "began", "seen"


class Sessions:
    """Reads and writes the cookie; over TLS it is sent back over TLS alone."""

    def __init__(self, app: ASGIApp, *, secret: str, path: str, idle_s: float) -> None:
        def behind(*, https_only: bool) -> SessionMiddleware:
            return SessionMiddleware(
                app,
                secret,
                session_cookie=COOKIE,
                max_age=int(idle_s),
                path=path,
                same_site="strict",
                https_only=https_only,
            )

        self._plain, self._secure = behind(https_only=False), behind(https_only=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its session."""
        app = self._secure if scope.get("scheme") == "https" else self._plain
        await app(scope, receive, send)


def secret_of(keyring: Keyring) -> str:
    """What cookies are signed with: drawn from the first secret key."""
    return keyring.sign("console session", "cookie")


def sign_in(request: Request, key: Key) -> None:
    """Begin a new session, so that nobody has planted one before."""
    session: dict[str, Any] = request.session
    session.clear()
    now_s = wall_s()
    session.update({_KEY: key.id, _BEGAN: now_s, _SEEN: now_s})


def sign_out(request: Request) -> None:
    """End the session of this browser."""
    request.session.clear()


def key_of(request: Request, database: Database, *, most_s: float) -> Key | None:
    """The live key that somebody has signed in with, if the session still holds."""
    session: dict[str, Any] = request.session
    now_s = wall_s()
    if _KEY not in session or now_s - session[_BEGAN] >= most_s:
        return None
    with database.reading() as connection:
        key = api_keys.live(connection, session[_KEY])
    if key is None or key.scope not in SIGN_IN:
        return None
    if now_s - session[_SEEN] >= _RENEWED_AFTER_S:
        session[_SEEN] = now_s
    return key
