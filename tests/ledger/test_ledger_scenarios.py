"""The ledger as stories that a finance person can read and check."""

from pathlib import Path

import pytest

from pricing.settlement import Rule
from storage.ledger.grants import GrantResult
from storage.ledger.reservations import ReserveResult
from storage.refunds.refunds import RefundResult
from tests.ledger.scenario_player import Scenario, parse

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_the_ledger_does_as_the_story_says(story, database_url):
    scenario = Scenario(database_url)
    for step in parse(story.read_text()):
        assert scenario.play(step) == step.expected, f"{story.name}:{step.line}"


def _told(verb: str) -> set[str]:
    """Every word that comes of a verb in some story."""
    return {
        word
        for story in STORIES
        for step in parse(story.read_text())
        if step.verb == verb
        for word in step.expected.replace(",", " ").split()
    }


@pytest.mark.parametrize(
    ("verb", "outcomes"),
    [
        ("grant", GrantResult),
        ("reserve", ReserveResult),
        # Of a charge that waits for a second person the tests of refunds tell.
        ("refund", set(RefundResult) - {RefundResult.WAITS_FOR_APPROVAL}),
        ("charges", Rule),
    ],
)
def test_every_outcome_is_met_by_a_story(verb, outcomes):
    assert set(outcomes) <= _told(verb)
