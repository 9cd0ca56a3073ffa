"""Figures are medians of rounds that count, and the page shows just these."""

import json
import xml.etree.ElementTree as ET

import pytest

from bench.installations.installation import Differs
from bench.report import page
from bench.report.figures import (
    Bar,
    Figure,
    Rounds,
    Section,
    at_least,
    at_most,
    spread,
)
from bench.report.plots import svg

FAST, CHEAP = at_least(0.85), at_most(1.15)
SPEED = Figure(what="speed", values=[0.5, 0.9, 0.7], goal=FAST, held="a.cpu")
COST = Figure(what="cost", values=[1.2, 1.1, 1.3], goal=CHEAP, held="b.cpu")
SECTION = Section(
    title="A <title>",
    sizes="10 things",
    figures=[SPEED, COST],
    unit="µs & more",
    bars=[
        Bar(label="ours", parts={"api": [1.0, 3.0, 2.0], "worker": [1.0, 1.0, 1.0]}),
        Bar(label="theirs", parts={"own": [6.0, 6.0, 6.0]}),
    ],
    lost=["round 2: settled is 3, not 4"],
)
RUN = {
    "commit": "abc",
    "against": None,
    "date": "2026-11-29",
    "cores": 2,
    "load": [1.0, 2.0],
    "took_s": 5,
}


def test_a_figure_is_its_median_with_its_range():
    assert SPEED.median == 0.7
    assert str(SPEED) == "0.70 (0.50-0.90)"
    assert spread([1234.5]) == "1,234"


def test_a_goal_is_judged_in_its_direction():
    assert not FAST.is_met(SPEED.median)
    assert FAST.is_met(0.85)
    assert not CHEAP.is_met(COST.median)
    assert CHEAP.is_met(1.15)
    assert SPEED.more_is_better
    assert not COST.more_is_better


def test_a_round_with_a_difference_does_not_count_and_is_named(capsys):
    rounds = Rounds()

    def run(number):
        if number == 1:
            raise Differs("settled is 3, not 4")
        return number

    assert rounds.of(3, run) == [0, 2]
    assert rounds.lost == ["round 2: settled is 3, not 4"]
    assert "does not count" in capsys.readouterr().out


def test_where_no_round_counts_there_is_no_figure():
    def run(_):
        raise Differs("all is wrong")

    with pytest.raises(Differs, match="no round counts"):
        Rounds().of(2, run)


def test_a_section_is_read_back_as_it_was_kept():
    kept = json.loads(json.dumps(SECTION.as_json()))
    again = Section.from_json(kept)
    assert again.figures[0].goal == SPEED.goal
    assert [str(one) for one in again.figures] == [str(one) for one in SECTION.figures]
    assert again.lost == SECTION.lost


def test_a_plot_is_xml_whose_bars_are_as_long_as_their_medians():
    root = ET.fromstring(svg(SECTION))
    widths = [
        float(one.get("width", 0))
        for one in root.iter("{http://www.w3.org/2000/svg}rect")
        if one.get("height") == "18"
    ]
    api, worker, own = widths
    assert api == pytest.approx(2 * worker, rel=0.01)
    assert own == pytest.approx(6 * worker, rel=0.01)


def test_the_page_says_ratios_goals_and_runs_that_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "FOLDER", tmp_path / "performance")
    monkeypatch.setattr(page, "FOUND", tmp_path / "performance" / "found.json")
    page.PAGE.write_text("words\n<!-- measured -->\nold\n<!-- /measured -->\nmore\n")
    order = ["one", "two"]
    page.keep({"two": SECTION.as_json() | {"run": RUN}}, order)
    page.keep({"one": SECTION.as_json() | {"run": RUN}}, order)
    text = page.PAGE.read_text()
    assert text.startswith("words\n")
    assert text.endswith("more\n")
    assert "old" not in text
    assert text.count("| speed | >= 0.85 | 0.70 (0.50-0.90) | not reached |") == 2
    assert "Runs that do not count: round 2: settled is 3, not 4." in text
    assert text.index("](performance/one.svg)") < text.index("](performance/two.svg)")
    assert (page.FOLDER / "one.svg").exists()


def test_the_page_in_the_docs_is_what_was_measured():
    assert page.rendered(page.PAGE.read_text()) == page.PAGE.read_text()
