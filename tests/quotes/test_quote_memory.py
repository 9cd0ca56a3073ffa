"""Quoting an upload holds of its records only what comes again."""

import pytest

from tests.support import peak_memory

_MIB_A_MILLION = 5
_FIRST_MIB = 10
_MILLION = 1_000_000

_QUOTE = """
import io, sys
from contextlib import closing
from pathlib import Path

from pricing.findings import EmailLevel
from pricing.plans import Item
from storage.quotes.quotes import Request
from tests.support import job_runs
from worker.quotes import quote_maker
from worker.uploads import uploads
from worker.quotes.readers.formats import CSV
from worker.wiring import wire

step, url, folder, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
HEADER = "company_id,person_id,first_name,last_name\\n"
REQUEST = Request(
    kind="export",
    license_id="acme",
    user_id="user-1",
    retrieve=(Item.EMAIL, Item.PHONE),
    email_level=EmailLevel.VERIFIED,
    only_with=None,
    export={"format": "csv"},
)


def write(path):
    with path.open("w") as out:
        out.write(HEADER)
        for n in range(count):
            out.write(f"company-{n:08d},person-{n:08d},Ada,{n}\\n")


def upload(deps, stream):
    return uploads.upload(deps, "acme", CSV.read(stream), skip_bad=False)


wired = job_runs.wire_to(url, folder)
usual = wired.settings.model_copy(update={"chunk_records": 1_000})
wired.database.close()
deps = wire(usual)
with closing(deps.database):
    if step == "upload":
        job_runs.create_license(deps)
        write(folder / "records.csv")
        with (folder / "records.csv").open("rb") as stream:
            print(upload(deps, stream).id)
    else:
        small = upload(deps, io.BytesIO((HEADER + "a,b,c,d\\n").encode()))
        quote_maker.quote(deps, REQUEST, uploads.reading_of(deps, small))
        stored = uploads.find(deps, "acme", sys.argv[5])
        before = peak_kib()
        reading = uploads.reading_of(deps, stored)
        priced = quote_maker.quote(deps, REQUEST, reading).quote
        assert priced.records == priced.companies == priced.persons == count
        print(peak_kib() - before)
"""


@pytest.mark.parametrize(
    "count", [100_000, pytest.param(_MILLION, marks=pytest.mark.full)]
)
def test_memory_does_not_grow_with_what_comes_once(database_url, tmp_path, count):
    words = (database_url, str(tmp_path), str(count))
    upload_id = peak_memory.run(_QUOTE, "upload", *words).strip()
    grown = int(peak_memory.run(_QUOTE, "quote", *words, upload_id)) / 1024
    print(f"{grown:.0f} MiB for {count:,} records")
    # A first batch costs the same however many follow it.
    assert grown <= _FIRST_MIB + _MIB_A_MILLION * count / _MILLION
