"""One whole export by its public doors, stage by stage, and held to its totals."""

import hashlib
from dataclasses import dataclass

from bench.installations.contacts import RETRIEVED, credits_of
from bench.installations.installation import Differs, Installation
from bench.installations.meter import Meter, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What each stage used, from the upload to the sealed file."""

    upload: Usage
    quote: Usage
    run: Usage
    """From the submit to the sealed file."""
    job: str
    sha256: str

    @property
    def whole(self) -> Usage:
        """All stages."""
        return self.upload + self.quote + self.run


def quote_of(
    installation: Installation, license_: str, upload: str, **more: object
) -> str:
    """Quote an upload with all that can be found; the quote's id."""
    asked = {"kind": "export", "license": license_, "user": "ada", "upload": upload}
    retrieve = {"retrieve": list(RETRIEVED)}
    quote = installation.ask("POST", "/v1/quotes", asked | retrieve | more)
    return str(quote["id"])


def upload_of(installation: Installation, license_: str, data: bytes) -> str:
    """Upload a file; the upload's id. Raises `Differs` where it misses a record."""
    path = f"/v1/uploads?license={license_}"
    upload = installation.ask("POST", path, data, "csv")
    if upload["records"] != data.count(b"\n") - 1 or upload["duplicates"]:
        message = f"{upload['records']} records, {upload['duplicates']} duplicates"
        raise Differs(message)
    return str(upload["id"])


def submitted(installation: Installation, quote: str) -> str:
    """Make a job of a quote; its id."""
    return str(installation.ask("POST", "/v1/jobs", {"quote": quote})["id"])


def export(
    installation: Installation, data: bytes, count: int, *, audited: bool = True
) -> Export:
    """Export `count` contacts for a license that has none of them yet.

    Raises `Differs` where it settles, delivers or leaves anything but what it must.
    """
    license_ = installation.new_license()
    with Meter(installation) as upload_use:
        upload = upload_of(installation, license_, data)
    with Meter(installation) as quote_use:
        quote = quote_of(installation, license_, upload)
    with Meter(installation) as run_use:
        job = submitted(installation, quote)
        installation.wait(job)
    check_totals(installation, job, count)
    if audited:
        installation.audit()
    file = installation.file_of(job)
    return Export(
        upload=upload_use,
        quote=quote_use,
        run=run_use,
        job=job,
        sha256=hashlib.sha256(file).hexdigest(),
    )


def check_totals(installation: Installation, job: str, count: int) -> None:
    """Raise `Differs` where a job's totals are not those of its contacts."""
    done = installation.ask("GET", f"/v1/jobs/{job}")
    found = done["credits"]["settled"], done["progress"]["delivered"]
    wanted = credits_of(count), count
    if found != wanted:
        message = f"{job}: settled and delivered are {found}, not {wanted}"
        raise Differs(message)
