"""The renderer: templates, and how numbers, times and states are written in them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

NOTHING = "\N{EN DASH}"
"""What stands where there is no value."""

_HERE = Path(__file__).parent
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


class Renderer:
    """Renders pages, and the parts of pages that live updates replace."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": number,
            "duration": duration,
            "instant": instant,
            "words": words,
            "urlencode": url_piece,
        }

    def page(self, template: str, **values: Any) -> str:  # noqa: ANN401 - whatever it shows
        """A whole page."""
        return self._environment.get_template(template).render(values)

    def part(self, name: str, **values: Any) -> str:  # noqa: ANN401 - whatever it shows
        """A part of a page by itself."""
        return self.page(f"parts/{name}.html", **values)


def number(value: float | None) -> str:
    """With a thin space for each thousand; a dash for none."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}".replace(",", "\u202f")


def duration(seconds: float | None) -> str:
    """In its two largest units at most: `45 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    if seconds is None:
        return NOTHING
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def instant(at: datetime | None) -> Markup | str:
    """In UTC, to the second, and for machines as well."""
    if at is None:
        return NOTHING
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        exact.isoformat(timespec="milliseconds"), exact.strftime("%Y-%m-%d %H:%M:%S")
    )


def url_piece(value: object) -> str:
    """As one piece of a URL: Jinja's own filter would leave the slash of an id."""
    return quote(str(value), safe="")


def words(code: str | None) -> str:
    """A code as words: `too_many_rejections` becomes `too many rejections`."""
    return (code or NOTHING).replace("_", " ")
