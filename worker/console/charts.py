"""Charts of the history as SVG: what was done, what failed, and what it settled.

Drawn for all who look, at most once in a while each. A browser shows them as images,
and so runs nothing that is in them.
"""

import sys
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from storage.database import Database
from storage.operations import history
from storage.operations.history import Point
from worker.infrastructure.clock import Stopwatch

_DRAWN_FOR_S = 20.0


class Span(NamedTuple):
    """A stretch of time that ends now, and how wide the points of it are."""

    title: str
    lasts_s: int
    width_s: int
    clock: str


class Drawn(NamedTuple):
    """What a chart shows: its parts, each with how much of it is in a point."""

    title: str
    parts: Sequence[tuple[str, str, Callable[[Point], float]]]


SPANS = {
    "hour": Span("the last hour", 3_600, history.MINUTE_S, "%H:%M"),
    "day": Span("the last day", 24 * 3_600, 3 * history.TEN_MINUTES_S, "%H:%M"),
}
CHARTS = {
    "records": Drawn(
        "Records",
        (
            ("delivered", "#2f8f4e", lambda point: point.delivered),
            ("excluded", "#8a94a0", lambda point: point.excluded),
            ("rejected", "#c9821b", lambda point: point.rejected),
        ),
    ),
    "failures": Drawn(
        "Failures",
        (
            ("failed runs of chunks", "#c9821b", lambda point: point.chunk_failures),
            ("leases run out", "#c2413a", lambda point: point.leases_expired),
        ),
    ),
    "credits": Drawn(
        "Credits settled",
        (("credits", "#3a78c9", lambda point: point.credits_settled),),
    ),
}

_INK = (
    "text { fill: %(ink)s !important; font-family: system-ui, sans-serif !important } "
    ".axis .line { stroke: %(line)s !important }"
)
_LIGHT = _INK % {"ink": "#57606a", "line": "#c9ced6"}
_DARK = _INK % {"ink": "#a3adb8", "line": "#3a424b"}
_STYLES = (
    "file://style.css",
    "file://graph.css",
    f"inline:{_LIGHT}",
    f"inline:@media (prefers-color-scheme: dark) {{ {_DARK} }}",
)


class Charts:
    """Draws what is asked for, or shows what was drawn a moment ago."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._drawn: dict[tuple[str, str], tuple[Stopwatch, str]] = {}

    def svg(self, chart: str, span: str) -> str:
        """One of `CHARTS` over one of `SPANS`."""
        with self._lock:
            since, svg = self._drawn.get((chart, span), (None, ""))
            if since is None or since.elapsed_s >= _DRAWN_FOR_S:
                svg = draw(CHARTS[chart], SPANS[span], self.points(span))
                self._drawn[chart, span] = (Stopwatch(), svg)
            return svg

    def points(self, span: str) -> list[Point]:
        """The history over one of `SPANS`."""
        asked = SPANS[span]
        with self._database.reading() as connection:
            return history.series(
                connection, since_s=asked.lasts_s, width_s=asked.width_s
            )


def sums(drawn: Drawn, points: Sequence[Point]) -> dict[str, float]:
    """What the parts of a chart come to."""
    return {name: sum(map(part, points)) for name, _, part in drawn.parts}


def draw(drawn: Drawn, span: Span, points: Sequence[Point]) -> str:
    """A chart as SVG, a bar for each point."""
    from pygal import StackedBar  # noqa: PLC0415 - loaded where a chart is drawn
    from pygal.style import Style  # noqa: PLC0415 - the same

    _leave_imports_alone()
    chart = StackedBar(
        js=(),
        css=_STYLES,
        style=Style(
            background="transparent",
            plot_background="transparent",
            label_font_size=12,
            major_label_font_size=12,
            legend_font_size=13,
            colors=tuple(colour for _, colour, _ in drawn.parts),
        ),
        width=620,
        height=200,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(drawn.parts),
        legend_box_size=10,
        show_minor_x_labels=False,
        x_labels_major_count=7,
        no_data_text="nothing yet",
        print_values=False,
        spacing=4,
        margin=4,
        min_scale=2,
        max_scale=4,
        value_formatter=lambda value: f"{value:,.10g}",
    )
    chart.x_labels = [point.at.strftime(span.clock) for point in points]
    for name, _, part in drawn.parts:
        chart.add(name, [part(point) for point in points])
    svg: str = chart.render(is_unicode=True)
    return svg


def _leave_imports_alone() -> None:
    """Take away the importer that pygal puts in for its maps, of which we use none.

    Python 3.11 warns of it at each import of anything that comes after.
    """
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if type(finder).__module__ != "pygal"
    ]
