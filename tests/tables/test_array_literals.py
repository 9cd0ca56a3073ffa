"""Columns as one literal: PostgreSQL reads back exactly what went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from pricing.plans import Item
from storage.array_literals import array

# What PostgreSQL takes as text at all: no NUL, and no half of a pair.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
AWKWARD = [
    *("", " ", "NULL", "null", "{}", "{", "}", ",", '"', "\\", '\\"', "\\n", "\\u0041"),
    *("\n", "\t", "\r", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "é", "🜁"),
]


def _read(connection, type_, values):
    return connection.execute(
        text(f"SELECT CAST(:literal AS {type_}[])"), {"literal": array(values)}
    ).scalar_one()


@pytest.fixture(scope="module")
def connection(shared_database):
    with shared_database.transaction() as connection:
        yield connection


@given(values=st.lists(st.none() | TEXTS | st.sampled_from(AWKWARD)))
def test_any_texts_are_read_as_psycopg_would_have_written_them(connection, values):
    assert _read(connection, "text", values) == values
    as_psycopg_writes = text("SELECT CAST(:ours AS text[]) = CAST(:theirs AS text[])")
    assert connection.execute(
        as_psycopg_writes, {"ours": array(values), "theirs": values}
    ).scalar_one()


@given(values=st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_numbers_are_read_as_they_are(connection, values):
    assert _read(connection, "integer", values) == values


@given(values=st.lists(st.none() | st.booleans()))
def test_booleans_are_read_as_they_are(connection, values):
    assert _read(connection, "boolean", values) == values


def test_members_of_an_enum_are_read_as_their_values(connection):
    assert _read(connection, "text", list(Item)) == ["company", "email", "phone"]


def test_every_character_that_text_can_hold_is_read_as_itself(connection):
    every = [chr(code) for code in range(1, 0x1_1000) if not 0xD800 <= code < 0xE000]
    assert _read(connection, "text", every) == every
