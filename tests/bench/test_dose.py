"""The dose fails for what is clearly worse, and for nothing else."""

import json

from bench import dose, suite
from bench.report.figures import Figure, at_least, at_most

BASELINE = {"slack": 1.5, "ratios": {"speed": 0.9, "cost": 2.0}}


def _speed(value):
    return Figure(what="a speed", values=[value], goal=at_least(1), held="speed")


def _cost(value):
    return Figure(what="a cost", values=[value], goal=at_most(1), held="cost")


def test_what_is_within_the_slack_passes():
    assert dose.worse([_speed(0.61), _cost(2.9)], BASELINE) == []


def test_what_is_better_passes():
    assert dose.worse([_speed(9), _cost(0.1)], BASELINE) == []


def test_a_speed_that_fell_and_a_cost_that_rose_are_told():
    slow, dear = dose.worse([_speed(0.59), _cost(3.1)], BASELINE)
    assert slow.startswith("speed: 0.59, and 0.9 is kept")
    assert dear.startswith("cost: 3.1, and 2 is kept")


def test_what_has_no_baseline_yet_passes():
    new = Figure(what="new", values=[7], held="new")
    assert dose.worse([new], BASELINE) == []


def test_the_kept_baseline_can_be_read_and_its_measurements_exist():
    kept = json.loads(dose.BASELINE.read_text())
    assert kept["slack"] >= 1.25
    assert all(value > 0 for value in kept["ratios"].values())
    assert {*dose.PARTS} <= {*suite.MEASUREMENTS}
