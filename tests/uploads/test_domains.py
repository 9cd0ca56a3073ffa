"""What ids are derived from: two ways to write the same end alike, nobody's do not."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.quotes.readers.column_mapping import NoId
from worker.uploads import domains
from worker.uploads.domains import Suffixes, company_domain, email_address, profile

_OURS = domains.installed()


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        (
            [
                "acme.com",
                "ACME.com.",
                " www.acme.com ",
                "https://www.acme.com/de?x=1#y",
                "//shop.acme.com:8443",
                "ada@mail.acme.com",
                "mailto:ada@acme.com",
                "http://user:pw@acme.com/",
            ],
            "acme.com",
        ),
        (["münchen.de", "xn--mnchen-3ya.de", "MÜNCHEN.DE"], "xn--mnchen-3ya.de"),
        (["straße.de"], "xn--strae-oqa.de"),
        (["a.b.acme.co.uk"], "acme.co.uk"),
        (["acme.github.io"], "acme.github.io"),
        (["facebook.com"], "facebook.com"),
    ],
)
def test_all_ways_to_write_a_companys_domain_are_the_same(values, domain):
    assert {company_domain(value, _OURS) for value in values} == {domain}


@pytest.mark.parametrize(
    "value",
    [
        "com",
        "co.uk",
        "github.io",
        "https://gmail.com/",
        "ada@hotmail.fr",
        "ada@web.de",
        "10.0.0.1",
        "http://[::1]/",
        "localhost",
        "acme",
        "a..com",
        "acme.com, brio.com",
        "https://www.facebook.com/acme",
        "https://sites.google.com/acme",
        "*.acme.com",
        "?",
    ],
)
def test_what_names_no_company_is_refused_without_repeating_it(value):
    with pytest.raises(NoId) as refused:
        company_domain(value, _OURS)
    assert value not in str(refused.value)


def test_a_company_goes_on_by_the_list_that_it_was_derived_by():
    former = Suffixes("former", "com\n")
    later = Suffixes("later", "com\nacme.com\n")
    assert company_domain("a.acme.com", former) == "acme.com"
    assert company_domain("a.acme.com", later) == "a.acme.com"


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["Ada.L@Acme.com", " mailto:ada.l@ACME.com "], "ada.l@acme.com"),
        (["ada+x@gmail.com"], "ada+x@gmail.com"),
        (["ada@münchen.de"], "ada@xn--mnchen-3ya.de"),
    ],
)
def test_an_address_is_the_same_in_any_case(values, address):
    assert {email_address(value) for value in values} == {address}


@pytest.mark.parametrize(
    "value", ["ada", "@acme.com", "a@b@c.com", "ada@x.com, ben@x.com", "a@localhost"]
)
def test_what_is_not_one_address_is_refused(value):
    with pytest.raises(NoId):
        email_address(value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            [
                "https://www.linkedin.com/in/Ada-L/",
                "linkedin.com/in/ada-l?trk=x",
                "http://fr.linkedin.com/in/ada-l#about",
            ],
            "linkedin.com/in/ada-l",
        ),
        (["https://linkedin.com/in/ad%C3%A9"], "linkedin.com/in/adé"),
        (["https://www.x.org/people?id=7"], "x.org/people?id=7"),
    ],
)
def test_a_profile_is_the_same_by_any_link_to_it(values, expected):
    assert {profile(value) for value in values} == {expected}


@pytest.mark.parametrize(
    "value",
    ["https://www.linkedin.com/company/acme", "https://x.org", "http://[::1", "?"],
)
def test_what_is_no_persons_profile_is_refused(value):
    with pytest.raises(NoId):
        profile(value)


@given(st.text(max_size=60))
def test_whatever_a_cell_holds_it_is_derived_or_refused(text):
    for way in (lambda one: company_domain(one, _OURS), email_address, profile):
        with suppress(NoId):
            assert way(text)
