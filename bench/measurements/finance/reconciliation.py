"""What it costs to compute a million charges again, and to compare all with them."""

import os
import subprocess
import time

from bench.installations.copied_files import copy_files
from bench.installations.copied_history import Past, make_past
from bench.installations.installation import Differs, Installation, installed
from bench.measurements.session import Session
from bench.report.figures import Bar, Figure, Rounds, Section, at_most, say

_SHARE = 20
"""Of the long past's charges: all of them have their files here."""
_CHARGES_A_JOB = 100
_JOBS_A_LICENSE = 50
_SECONDS_MAX = 120
_MIB_MAX = 300


def measure(session: Session) -> Section:
    """Fill the tables and the store of one installation, and reconcile all of it."""
    sizes = session.sizes
    charges = max(10 * _CHARGES_A_JOB, sizes.history // _SHARE)
    jobs = charges // _CHARGES_A_JOB
    past = Past(licenses=max(1, jobs // _JOBS_A_LICENSE), jobs=jobs, charges=charges)
    rounds = Rounds()
    with installed(session.build, persons=2 * _CHARGES_A_JOB) as installation:
        _fill(installation, past)

        def run(number: int) -> tuple[float, float]:
            seconds, mib = _reconcile(installation)
            say(f"round {number}: {seconds:.0f} s, {mib:.0f} MiB")
            return seconds, mib

        found = rounds.of(sizes.rounds, run)
    seconds, mib = zip(*found, strict=True)
    share = 1_000_000 / charges
    return Section(
        title="Reconciling",
        sizes=f"{charges:,} charges, {past.licenses:,} licenses, {jobs:,} jobs, files",
        figures=[
            Figure(
                what="wall time, of a million charges",
                values=[one * share for one in seconds],
                goal=at_most(_SECONDS_MAX),
                unit="s",
            ),
            Figure(
                what="memory at its peak",
                values=list(mib),
                goal=at_most(_MIB_MAX),
                unit="MiB",
            ),
        ],
        unit="s",
        bars=[Bar(label="reconcile", parts={"all": list(seconds)})],
        lost=rounds.lost,
    )


def _fill(installation: Installation, past: Past) -> None:
    began_s = time.monotonic()
    make_past(installation, past)
    ((job,),) = installation.rows("SELECT id FROM jobs WHERE id NOT LIKE 'past-job-%'")
    url, folder = installation.database_url(), installation.home / "files"
    jobs = past.jobs // past.licenses * past.licenses
    copy_files(url, folder, job, licenses=past.licenses, jobs=jobs)
    installation.rows("VACUUM (ANALYZE)")
    say(f"{past.charges:,} charges made in {time.monotonic() - began_s:.0f} s")


def _reconcile(installation: Installation) -> tuple[float, float]:
    """Wall seconds, and what the process held at its peak. Raises `Differs`."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        (
            *(installation.build.holdfast, "reconcile", "--period", "open"),
            *("--home", installation.home),
        ),
        cwd=installation.folder,
        env=installation.env,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise Differs("something differs")
    return time.perf_counter() - began_s, usage.ru_maxrss / 1024
