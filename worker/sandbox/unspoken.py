"""What a vendor of the sandbox does not speak, and what goes wrong in it, in its words.

Whatever nobody has written here is answered with 501: an empty success would be a lie.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from worker.sandbox.fault_injection import Handler

Told = Callable[[int, str, str], web.Response]
"""A vendor's error: of a status, a code in small letters, and words."""

log = logging.getLogger(__name__)

_NOTHING: tuple[object, ...] = (None, False, 0, "", "false", [], {})
"""Values by which a request asks for nothing more than without them."""


class Unspoken(Exception):
    """A request means something that this vendor of the sandbox does not know."""


def only(given: Mapping[str, Any], spoken: Iterable[str]) -> None:
    """Raise `Unspoken` where a request says more than what is looked at here."""
    more = [name for name in given if name not in spoken]
    if asked := [name for name in more if given[name] not in _NOTHING]:
        raise Unspoken(f"the sandbox does not know {', '.join(sorted(asked))} here")


def one_of(given: Mapping[str, Any], name: str, *spoken: object) -> None:
    """Raise `Unspoken` where a value is none of these; nothing at all is one."""
    if given.get(name) not in (*_NOTHING, *spoken):
        raise Unspoken(f"the sandbox does not know {name} {given[name]!r} here")


def in_their_words(vendors: Mapping[str, Told]) -> Any:  # noqa: ANN401 - a middleware of aiohttp has no name
    """The middleware that lets each vendor say what it does not know."""

    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        told = vendors.get(request.path.split("/")[1])
        if told is None:
            return await handler(request)
        asked = f"{request.method} {request.path}"
        try:
            return await handler(request)
        except Unspoken as unspoken:
            return told(501, "not_implemented", f"{asked}: {unspoken}")
        except web.HTTPException:
            if request.match_info.http_exception is None:
                raise
            words = f"the sandbox does not know {asked}"
            return told(501, "not_implemented", words)
        except json.JSONDecodeError as error:
            return told(
                400, "json_parser_error", f"{asked}: the body is no JSON: {error}"
            )
        except Exception:
            log.exception("the sandbox failed at %s", asked)
            return told(500, "internal_error", f"{asked}: see the sandbox's log")

    return tell
