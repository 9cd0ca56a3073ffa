"""By what a person is looked up: written differently, it is the same person."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.claims import KNOWN, Asked, lookup_digest
from pricing.plans import Item

ADA = lookup_digest("Ada", "Lovelace", "acme.test")

# The dotless i is a letter of its own that shares its capital with i.
letters = st.text(st.characters(categories=["L", "N"], exclude_characters="\u0131"))
texts = st.text(st.characters(exclude_categories=["Cs"]))
spaces = st.text("  \t\n\r\u00a0\u2003\u3000", min_size=1, max_size=3)


@pytest.mark.parametrize(
    "names",
    [
        ("ADA", "LOVELACE", "ACME.TEST"),
        (" Ada ", "Lovelace\t", "acme.test\n"),
        ("Ada", "Lovelace", "Acme.Test"),
        ("Ａｄａ", "Lovelace", "acme.test"),  # noqa: RUF001 - full width
    ],
)
def test_case_spacing_and_width_do_not_matter(names):
    assert lookup_digest(*names) == ADA


@pytest.mark.parametrize(
    "names",
    [
        ("Adah", "Lovelace", "acme.test"),
        ("Ada", "Byron", "acme.test"),
        ("Ada", "Lovelace", "other.test"),
        ("Lovelace", "Ada", "acme.test"),
        ("", "", ""),
    ],
)
def test_another_name_or_domain_is_somebody_else(names):
    assert lookup_digest(*names) != ADA


def test_a_space_within_a_name_counts_however_wide():
    assert lookup_digest("Mary  Ann", "", "") == lookup_digest("mary ann", "", "")
    assert lookup_digest("Mary Ann", "", "") != lookup_digest("MaryAnn", "", "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Strauß", "STRAUSS"),
        ("José", "Jose\u0301"),
        ("ΐ", "Ϊ́"),
        # An iota below and an accent above, in either order.
        ("\u1fb4", "\u03b1\u0345\u0301"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ﬁona", "Fiona"),
    ],
)
def test_letters_with_several_ways_to_be_written_are_the_same(one, other):
    assert lookup_digest(one, "", "") == lookup_digest(other, "", "")


@given(letters, letters, letters)
def test_case_never_matters(first, last, domain):
    digest = lookup_digest(first, last, domain)
    assert lookup_digest(first.upper(), last.upper(), domain.upper()) == digest
    assert lookup_digest(first.lower(), last.lower(), domain.lower()) == digest


@given(st.lists(letters.filter(bool), min_size=1, max_size=4), st.data())
def test_spacing_never_matters(words, data):
    spread = data.draw(spaces)
    for word in words:
        spread += word + data.draw(spaces)
    for place in range(3):
        names = ["", "", ""]
        names[place] = " ".join(words)
        digest = lookup_digest(*names)
        names[place] = spread
        assert lookup_digest(*names) == digest


@given(texts, st.sampled_from(["NFC", "NFD"]))
def test_composed_or_not_never_matters(name, form):
    written = unicodedata.normalize(form, name)
    assert lookup_digest(name, "", "") == lookup_digest(written, "", "")


@given(texts, texts)
def test_parts_never_run_into_each_other(first, last):
    joined = lookup_digest(f"{first}\x1f{last}", "", "")
    apart = lookup_digest(first, last, "")
    # Only where there is no last name is it the same to have it in the first.
    assert (joined == apart) is not bool(last.split())


@given(texts, texts, texts)
def test_a_digest_is_short_plain_and_never_that_of_a_known_person(first, last, domain):
    digest = lookup_digest(first, last, domain)
    assert digest != KNOWN
    assert len(digest) == 32
    assert set(digest) <= set("0123456789abcdef")


def test_a_companys_credit_belongs_to_the_company_and_the_others_to_the_person():
    asked = Asked("acme", "ada")
    assert asked.subject(Item.COMPANY) == "acme"
    assert asked.subject(Item.EMAIL) == "ada"
    assert asked.subject(Item.PHONE) == "ada"
