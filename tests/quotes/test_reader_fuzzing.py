"""Bytes that were changed, cut or mixed are rows or problems, in every format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reader_fuzzing import SEEDS, read_all

FILES = {suffix: [make() for make in makers] for suffix, makers in SEEDS.items()}


@st.composite
def damaged(draw: st.DrawFn, suffix: str) -> bytes:
    """A file in order of which some bytes are others, gone, or there twice."""
    data = bytearray(draw(st.sampled_from(FILES[suffix])))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                data[place] ^= draw(st.integers(1, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 20))]
            case _:
                data[place:place] = draw(st.binary(max_size=8))
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("suffix", FILES)
@given(data=st.data())
def test_whatever_bytes_come_a_reader_answers_rows_or_problems(suffix, data):
    read_all(suffix, data.draw(damaged(suffix) | st.binary(max_size=200)))
