"""`docs/performance.md`: its tables and plots, from what the runs have found.

What each measurement found last is kept beside the plots; a run of some of them leaves
the others as they were. The words around the tables are written by hand.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.installations.builds import ROOT
from bench.report.figures import Figure, Section
from bench.report.plots import svg

PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
FOUND = FOLDER / "found.json"
_MARKS = ("<!-- measured -->", "<!-- /measured -->")


def keep(found: Mapping[str, Any], order: Sequence[str]) -> None:
    """Put what a run found into the page, in this order, and draw its plots."""
    FOLDER.mkdir(exist_ok=True)
    both = (_kept() if FOUND.exists() else {}) | dict(found)
    kept = {name: both[name] for name in order if name in both}
    FOUND.write_text(json.dumps(rounded(kept), indent=1, ensure_ascii=False) + "\n")
    for name, one in kept_sections().items():
        if one.bars:
            (FOLDER / f"{name}.svg").write_text(svg(one))
    PAGE.write_text(rendered(PAGE.read_text()))


def kept_sections() -> dict[str, Section]:
    """What every measurement found last."""
    return {name: _section(one) for name, one in _kept().items()}


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FOUND.read_text())
    return found


def _section(kept: dict[str, Any]) -> Section:
    return Section.from_json({k: v for k, v in kept.items() if k != "run"})


def rounded(found: object) -> object:
    """Numbers with as many digits as can mean something."""
    if isinstance(found, float):
        return float(f"{found:.4g}")
    if isinstance(found, Mapping):
        return {name: rounded(one) for name, one in found.items()}
    return [rounded(one) for one in found] if isinstance(found, list | tuple) else found


def rendered(page: str) -> str:
    """The page with what was found between its marks."""
    begin, end = _MARKS
    kept = _kept()
    sections = {name: _section(one) for name, one in kept.items()}
    parts = [_overview(sections)]
    parts += [_part(name, sections[name], kept[name]["run"]) for name in sections]
    words = "\n\n".join([begin, *parts, end])
    pattern = f"{re.escape(begin)}.*{re.escape(end)}"
    return re.sub(pattern, lambda _: words, page, count=1, flags=re.DOTALL)


def _overview(sections: Mapping[str, Section]) -> str:
    rows = [
        f"| {section.title} | {figure.what} | {figure.goal} | {figure} "
        f"| {_verdict(figure)} |"
        for section in sections.values()
        for figure in section.figures
        if figure.goal
    ]
    head = "| | what | to reach | median (range) | |\n|---|---|---|---|---|"
    return "\n".join(["## Against the targets", "", head, *rows])


def _verdict(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return "reached" if figure.goal.is_met(figure.median) else "not reached"


def _part(name: str, section: Section, run: Mapping[str, Any]) -> str:
    against = f", against {run['against']}" if run["against"] else ""
    load = "-".join(f"{one:g}" for one in run["load"])
    made = (
        f"{section.sizes}. Commit {run['commit']}{against}, {run['date']}, "
        f"{run['cores']} cores, load {load}, {run['took_s']} s."
    )
    lines = [
        f"## {section.title}",
        "",
        made,
        "",
        "| what | median (range) | to reach | of |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one} | {one.goal or ''} | {one.absolute} |"
        for one in section.figures
    ]
    if section.lost:
        lines += ["", "Runs that do not count: " + "; ".join(section.lost) + "."]
    if section.bars:
        lines += ["", f"![{section.title}](performance/{name}.svg)"]
    return "\n".join(lines)
