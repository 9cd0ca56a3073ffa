"""What the API holds for a large upload, its quote, and four quotes at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bench.installations.contacts import csv_of
from bench.installations.exports import quote_of, upload_of
from bench.installations.installation import installed
from bench.installations.process_tree import PeakMemory
from bench.measurements.session import Session
from bench.report.figures import Bar, Figure, Section, at_most, say, short

_AT_ONCE = 4
_KNOWN = 1000
"""Persons in the directory: of nearly all it has to be asked in vain."""


class _Peaks(NamedTuple):
    upload_mib: float
    quote_mib: float
    quotes_mib: float


def measure(session: Session) -> Section:
    """Upload and quote each size on an API of its own, that has done nothing before."""
    small, big = session.sizes.small, session.sizes.big
    base, large = _peaks(session, small), _peaks(session, big)
    return Section(
        title="Memory of the API",
        sizes=f"{big:,} records against {small:,}, each on a fresh API",
        figures=[
            _figure("upload", large.upload_mib, base.upload_mib),
            _figure("quote", large.quote_mib, base.quote_mib),
            _figure(f"{_AT_ONCE} quotes at once", large.quotes_mib, base.quote_mib),
        ],
        unit="MiB",
        bars=[
            Bar(label=f"{what} of {count:,}", parts={"api": [mib]})
            for count, peaks in ((small, base), (big, large))
            for what, mib in zip(("upload", "quote", "four quotes"), peaks, strict=True)
        ],
    )


def _figure(what: str, large_mib: float, small_mib: float) -> Figure:
    return Figure(
        what=f"peak of the API, {what}",
        values=[large_mib / small_mib],
        goal=at_most(1.2),
        absolute=f"{short(large_mib)} against {short(small_mib)} MiB",
    )


def _peaks(session: Session, count: int) -> _Peaks:
    data = csv_of(count)
    with installed(session.build, persons=min(count, _KNOWN)) as installation:
        license_ = installation.new_license()
        with PeakMemory(installation.pid) as of_upload:
            upload = upload_of(installation, license_, data)
        with PeakMemory(installation.pid) as of_quote:
            quote_of(installation, license_, upload)
        with PeakMemory(installation.pid) as of_quotes, ThreadPoolExecutor() as pool:
            asked = [
                pool.submit(quote_of, installation, license_, upload)
                for _ in range(_AT_ONCE)
            ]
            for one in asked:
                one.result()
    found = _Peaks(*(one.all_mib("api") for one in (of_upload, of_quote, of_quotes)))
    say(
        f"{count:,}: upload {found.upload_mib:.0f}, quote {found.quote_mib:.0f}, "
        f"{_AT_ONCE} quotes {found.quotes_mib:.0f} MiB"
    )
    return found
