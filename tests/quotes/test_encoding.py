"""Files of now and of before spell an id alike: an erasure looks for its letters."""

import json

from hypothesis import given
from hypothesis import strategies as st

from worker.quotes.readers.records import encode

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(_TEXTS)
def test_a_text_is_spelt_as_json_without_blanks_spells_it(spoken):
    spelt = json.dumps(
        [spoken, {"a": spoken}], ensure_ascii=False, separators=(",", ":")
    )
    assert encode([spoken, {"a": spoken}]) == spelt.encode()
