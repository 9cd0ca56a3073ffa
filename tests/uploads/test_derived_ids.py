"""Derived ids: a license's own, the same for ever, and none of the directory's."""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from pricing.claims import DERIVED, KNOWN
from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.findings import directory
from storage.quotes.quotes import Request
from tests.support import job_runs
from worker.findings import directory_import
from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.errors import BadInput
from worker.infrastructure.keyring import Keyring
from worker.quotes import quote_maker
from worker.quotes.priced_records import parse
from worker.quotes.readers import inline_records
from worker.quotes.readers.formats import CSV
from worker.retention import secret_rotation
from worker.uploads import domains, templates, uploads
from worker.uploads.derived_ids import DerivedIds, own_ids
from worker.uploads.mapping_options import Asked, prepared
from worker.wiring import Wired

_ASKED = Asked(
    columns={
        "company_id": {"derive": "domain", "column": "Site"},
        "person_id": {"derive": "email", "column": "Mail"},
    }
)
_FILE = (
    b"Site,Mail,first_name\n"
    b"https://acme.com/x,Ada@Acme.com,Ada\n"
    b"www.acme.com,ada@acme.com,Ada\n"
    b"brio.fr,,\n"
)


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        job_runs.create_license(deps, "other")
        yield deps


def _ids(deps: Wired, license_id: str = "acme") -> list[str]:
    """All ids that the file's records get, duplicates left out."""
    mapping = prepared(deps, license_id, _ASKED).mapping
    reading = CSV.read(io.BytesIO(_FILE), mapping)
    stored = uploads.upload(deps, license_id, reading, skip_bad=False)
    blocks = uploads.reading_of(deps, stored).blocks
    records = [one for block in blocks for one in block.records.each()]
    return [id_ for one in records for id_ in (one.company_id, one.person_id) if id_]


def _request(license_id: str = "acme") -> Request:
    return Request(
        kind="export",
        license_id=license_id,
        user_id="u",
        retrieve=(Item.EMAIL,),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )


def test_two_ways_to_write_the_same_are_one_record_of_one_license_alone(deps):
    ids = _ids(deps)
    assert len(ids) == 3
    assert all(one.startswith(DERIVED) for one in ids)
    assert not any("acme" in one or "ada" in one for one in ids)
    assert _ids(deps) == ids
    assert not set(_ids(deps, "other")) & set(ids)


def test_an_id_comes_in_again_for_its_license_and_its_field_and_no_other(deps):
    company, person, _ = _ids(deps)
    kept = [{"company_id": company, "person_id": person, "first_name": "Ada"}]
    reading = inline_records.read(kept, own_ids(deps, "acme"))
    quoted = quote_maker.quote(deps, _request(), reading)
    assert quoted.quote.records == 1
    swapped = [{"company_id": person}]
    forged = [{"company_id": f"{company[:-1]}{'0' if company[-1] != '0' else '1'}"}]
    for license_id, records in (
        ("other", kept),
        ("acme", swapped),
        ("acme", forged),
        ("acme", [{"company_id": DERIVED}]),
    ):
        with pytest.raises(BadInput, match="was not derived for this license"):
            quote_maker.quote(
                deps,
                _request(license_id),
                inline_records.read(records, own_ids(deps, license_id)),
            )


def test_the_directory_is_never_asked_of_a_derived_id(deps):
    company, person, _ = _ids(deps)
    line = b'{"person_id": "%b", "email": "x@acme.com"}' % person.encode()
    with pytest.raises(BadInput, match=f"begins with {DERIVED}"):
        directory_import.load_directory(deps, [line])
    with deps.database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO directory (person_id, email, email_status)
                VALUES (:person, 'x@acme.com', 'valid'), ('p', 'p@x.com', 'valid')"""),
            {"person": person},
        )
        assert directory.known(connection, [person, "p"]) == {"p"}
        assert set(directory.look_up(connection, [person, "p"])) == {"p"}
        assert directory.known(connection, [person]) == set()
    record = {"company_id": company, "person_id": person, "first_name": "Ada"}
    reading = inline_records.read([record], own_ids(deps, "acme"))
    name = quote_maker.quote(deps, _request(), reading).input.name
    with deps.artifacts.open(name or "") as stream:
        (priced,) = parse(stream.read()).each()
    # Not by the id alone, but by what the person is looked up by.
    assert priced.claims[-1].digest not in {KNOWN, ""}


def test_a_key_of_the_house_that_is_replaced_changes_no_derived_id(deps):
    old, new = "an-old-key-of-20-letters", "a-new-key-of-20-letters!"

    def by(keys: str) -> Wired:
        settings = deps.settings.model_copy(update={"secret_keys": Secret(keys)})
        changed: Wired = replace(deps, settings=settings, keyring=Keyring(settings))
        return changed

    ids = _ids(by(old))
    assert secret_rotation.rotate(by(f"{new},{old}")) == 1
    assert _ids(by(new)) == ids


def test_a_template_goes_on_by_the_list_of_suffixes_that_it_was_kept_with(
    deps, monkeypatch
):
    templates.put(deps, "acme", "crm", _ASKED, None)
    before = _ids_by_template(deps)
    # An upgrade brings a list by which acme.com is a public suffix.
    later = f"// VERSION: later\n{domains.installed_list()}\nacme.com\n"
    monkeypatch.setattr(domains, "installed_list", lambda: later)
    monkeypatch.setattr(domains, "installed_version", lambda: "later")
    domains.installed.cache_clear()
    try:
        assert _ids_by_template(deps) == before
        with pytest.raises(BadInput):
            _ids(deps)
    finally:
        domains.installed.cache_clear()


def _ids_by_template(deps: Wired) -> list[str]:
    asked = templates.applied(deps, "acme", "crm", Asked())
    reading = CSV.read(io.BytesIO(_FILE), prepared(deps, "acme", asked).mapping)
    blocks = list(reading.blocks)
    assert not any(block.bad for block in blocks)
    return [one for block in blocks for one in block.records.company_ids]


def test_nobody_makes_a_key_by_asking_whether_an_id_was_derived(deps):
    assert not DerivedIds(deps, "acme").is_derived("company_id", f"{DERIVED}{'0' * 40}")
    with deps.database.transaction() as connection:
        keys = text("SELECT count(*) FROM derivation_keys")
        assert connection.execute(keys).scalar_one() == 0
