"""Cells for spreadsheets stay the texts they are, and that can be undone."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from worker.spreadsheets.cell_texts import ESCAPES, as_literal, as_text, restored
from worker.spreadsheets.formulas import is_live

_texts = st.text(
    st.one_of(
        st.sampled_from(list("'\"=+-@ \t\r\n0159aEé\u00a0\u200b\uff1d😀")),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
)
_each_way = pytest.mark.parametrize("written", [as_text, as_literal])

_IS_TEXT_ITSELF = re.compile(r'="[^"\n\r]*"')
"""A formula that is one text and nothing else: no cell, no function, no operator."""


@_each_way
@given(text=_texts)
@settings(max_examples=300)
@example(text="'=1+1")
@example(text="''@acme")
@example(text="'t Hooft")
@example(text='="0475"')
@example(text='=""')
@example(text='"')
@example(text="")
def test_every_text_is_restored_from_its_cell(written, text):
    assert restored(written(text)) == text


@_each_way
@given(one=_texts, other=_texts)
def test_no_two_texts_become_the_same_cell(written, one, other):
    assert (written(one) == written(other)) is (one == other)


@_each_way
@given(text=_texts)
def test_no_cell_is_a_formula_but_one_that_is_a_text(written, text):
    cell = written(text)
    assert not is_live(cell) or _IS_TEXT_ITSELF.fullmatch(cell)


@given(cell=_texts)
def test_only_cells_that_begin_like_an_escape_are_changed(cell):
    assert restored(cell) == cell or cell[:1] in ESCAPES


@pytest.mark.parametrize(
    "text",
    [
        *("+32475123456", "0475123456", "0032 475 12 34 56", "+32 (0)475/12.34.56"),
        *("1234567890123456789", "1E5", "1e400", "1-2", "3/4", "12:30", "007", "5%"),
        *("TRUE", "false", "VRAI", "mar-1", "1 p", "\u0661\u0662", "0475\u00a012"),
        *("=1+1", "@acme", "-5", "+A1|B2", "\uff1d1", " =1", "'=1"),
        "9" * 255,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_a_spreadsheet_would_retype_is_a_text_in_a_column_of_texts(text):
    assert as_literal(text) == f'="{text}"'


@pytest.mark.parametrize("text", ["", "acme", "Zoë", "'t Hooft", "a-b", "東京"])
def test_what_is_a_text_by_itself_stays_as_it_is(text):
    assert as_literal(text) == as_text(text) == text


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("x")', '="a"&A1', '=1"', "=1\n2", "=" + "9" * 255, "=😀" * 127]
)
def test_what_could_break_out_of_a_text_or_is_too_long_for_it_is_marked(text):
    assert as_literal(text) == f"'{text}"
