"""Sessions: who has signed in, in a signed cookie that is short-lived.

The cookie holds the id of an API key, never the key. Each request looks the key up, so
a session ends with its key; it also ends by signing out, which is noted, after a while
without a request, and at the latest so long after the sign-in.
"""

from typing import Any, NamedTuple

from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from storage.database import Database
from storage.licenses import api_keys, console_sessions
from storage.licenses.api_keys import Key
from storage.licenses.console_sessions import SessionOfKey
from worker.console.page_table import SIGN_IN
from worker.infrastructure.clock import wall_s
from worker.infrastructure.ids import new_id
from worker.infrastructure.keyring import Keyring

COOKIE = "holdfast_console"
_RENEWED_AFTER_S = 60
_ID, _KEY, _BEGAN, _SEEN = "id", "key", "began", "seen"


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
    session.update({_ID: new_id("session"), _KEY: key.id, _BEGAN: now_s, _SEEN: now_s})


def sign_out(request: Request, database: Database, *, most_s: float) -> None:
    """End the session: of this browser, and for whoever has a copy of its cookie."""
    session: dict[str, Any] = request.session
    if _ID in session:
        with database.transaction() as connection:
            console_sessions.sign_out(connection, session[_ID], lasts_s=most_s)
    session.clear()


def key_of(
    request: Request, database: Database, *, most_s: float, renews: bool = True
) -> Key | None:
    """The live key that somebody has signed in with, if the session still holds.

    What nobody has asked for by hand `renews` nothing: it does not count as a request.
    """
    session: dict[str, Any] = request.session
    now_s = wall_s()
    if _ID not in session or now_s - session[_BEGAN] >= most_s:
        return None
    asked = SessionOfKey(session[_ID], session[_KEY])
    with database.reading() as connection:
        if not console_sessions.standing(connection, [asked]):
            return None
        key = api_keys.live(connection, asked.key_id)
    if key is None or key.scope not in SIGN_IN:
        return None
    if renews and now_s - session[_SEEN] >= _RENEWED_AFTER_S:
        session[_SEEN] = now_s
    return key


class WatchedSession(NamedTuple):
    """The session of somebody who watches, and until when it holds by itself."""

    asked: SessionOfKey
    ends_s: float
    """By the clock of `wall_s`."""


def watched(request: Request, *, most_s: float, idle_s: float) -> WatchedSession:
    """The session that a stream is opened in, which `key_of` has found to hold."""
    session: dict[str, Any] = request.session
    ends_s = min(session[_BEGAN] + most_s, session[_SEEN] + idle_s)
    return WatchedSession(SessionOfKey(session[_ID], session[_KEY]), ends_s)
