"""Ids in paths: a slash that a client encoded is part of its id, not of the route."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class EncodedPaths:
    """Lets a path be cut into its pieces before they are decoded.

    The server hands over the path decoded, so that an id `a/b`, sent as `a%2Fb`, would
    be two pieces. Here each piece is decoded by itself, and what it holds of `/` and
    `%` is encoded again until the route has been found; see `piece`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its path cut as the client cut it."""
        sent: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%" in sent:
            pieces = sent.decode("ascii", "replace").split("/")
            path = "/".join(_encoded(unquote(each)) for each in pieces)
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def _encoded(piece: str) -> str:
    return piece.replace("%", "%25").replace("/", "%2F")


def piece(found: str) -> str:
    """A piece of a path as the client meant it, once its route has been found."""
    return found.replace("%2F", "/").replace("%25", "%")
