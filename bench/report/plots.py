"""Bars as SVG: the few lines that a plot of ours needs, always the same for the same.

Colours, sizes and words are all there is to them; a plotting library would bring an
environment of its own, and a file that changes with each of its versions.
"""

from collections.abc import Sequence
from html import escape
from statistics import median

from bench.report.figures import Bar, Section, short

_WIDTH, _LEFT, _RIGHT = 760, 230, 120
_ROW, _BAR, _TOP = 30, 18, 30
_LEGEND = 22
_COLOURS = (
    *("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7"),
    *("#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"),
)
_INK = "#57606a"


def svg(section: Section) -> str:
    """Horizontal bars of medians by their parts; a line from the least to the most."""
    parts = _parts(section.bars)
    colours = {part: _COLOURS[at % len(_COLOURS)] for at, part in enumerate(parts)}
    most = max(max(_totals(bar)) for bar in section.bars) or 1
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    height = _TOP + _ROW * len(section.bars) + _LEGEND
    body = [_text(_LEFT, 18, section.unit)]
    for number, bar in enumerate(section.bars):
        body += _drawn(bar, _TOP + number * _ROW, scale, colours)
    body += _legend(colours, height - 8)
    size = f'width="{_WIDTH}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    box = f'viewBox="0 0 {_WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} {font}>',
        f"<title>{escape(section.title)}: {escape(section.unit)}</title>",
        f'<rect {size} fill="#ffffff"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _parts(bars: Sequence[Bar]) -> list[str]:
    """The parts that are more than nothing, in the order of the bars."""
    found = [
        part for bar in bars for part, values in bar.parts.items() if max(values) > 0
    ]
    return list(dict.fromkeys(found))


def _totals(bar: Bar) -> list[float]:
    return [sum(values) for values in zip(*bar.parts.values(), strict=True)]


def _drawn(bar: Bar, y: int, scale: float, colours: dict[str, str]) -> list[str]:
    totals = _totals(bar)
    drawn, x = [_text(_LEFT - 8, y + 13, bar.label, anchor="end")], float(_LEFT)
    for part, values in bar.parts.items():
        width = median(values) * scale
        if part in colours and width > 0:
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" '
                f'fill="{colours[part]}"/>'
            )
            x += width
    least, most = _LEFT + min(totals) * scale, _LEFT + max(totals) * scale
    middle = y + _BAR // 2
    drawn.append(
        f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {middle - 4}v8'
        f'M{most:.1f} {middle - 4}v8" stroke="{_INK}" fill="none"/>'
    )
    words = short(median(totals))
    return [*drawn, _text(max(most, x) + 8, y + 13, words)]


def _legend(colours: dict[str, str], y: int) -> list[str]:
    if len(colours) < 2:  # noqa: PLR2004 - one colour says nothing
        return []
    drawn, x = [], float(_LEFT)
    for part, colour in colours.items():
        drawn.append(
            f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        )
        drawn.append(_text(x + 14, y, part))
        x += 30 + 6.5 * len(part)
    return drawn


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{_INK}">'
        f"{escape(words)}</text>"
    )
