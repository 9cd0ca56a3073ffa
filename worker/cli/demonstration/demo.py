"""`demo`: the U.S. Congress exported twice, and every credit of it checked.

Office phones of members are public, their e-mails are not: so the quote reserves for
both, and what was not found comes back. The second time almost all is free.
"""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import click

from pricing.findings import EmailLevel
from pricing.plans import Item, PaymentTerm, Plan
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.quotes import quotes
from worker.cli.exports import make_quote, quote_text
from worker.cli.files.mapped_file import MappedFile
from worker.cli.invocation import Cli, command
from worker.cli.jobs import save
from worker.cli.licenses import balance_text
from worker.cli.progress import follow
from worker.cli.servers import with_workers
from worker.embedded.home import remove_home
from worker.findings.directory_import import load_directory
from worker.jobs import submission
from worker.ledger import balances
from worker.licenses import licenses
from worker.uploads.mapping_options import Asked
from worker.wiring import Wired, wired

_CREDITS = 5_000


class _Numbers(NamedTuple):
    quoted: int
    settled: int
    released: int


_EXPECTED = (
    _Numbers(quoted=1_717, settled=1_178, released=539),
    _Numbers(quoted=539, settled=0, released=539),
)


@command("demo")
def demo(cli: Cli) -> None:
    """Export the sample twice in a fresh home; exit 1 on any wrong number."""
    out = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    with _fresh_home(cli, out) as fresh, with_workers(fresh, migrate=True) as servers:
        deps = wired(servers)
        with as_file(files("worker.sample") / "congress-directory.jsonl") as entries:
            persons, _ = load_directory(deps, entries.open("rb"))
        cli.say(f"directory: {persons:,} persons, their office phones\n")
        license_id = _license(deps)
        numbers = tuple(
            _export(fresh, deps, license_id, out / f"congress-{number}.csv")
            for number in range(1, len(_EXPECTED) + 1)
        )
        cli.say(balance_text(balances.balance_of(deps, license_id)))
    cli.answer(
        {"exports": [run._asdict() for run in numbers], "right": numbers == _EXPECTED},
        "every number is right"
        if numbers == _EXPECTED
        else f"WRONG: expected {_EXPECTED}, got {numbers}",
    )
    if numbers != _EXPECTED:
        raise click.exceptions.Exit(1)


@contextmanager
def _fresh_home(cli: Cli, folder: Path) -> Iterator[Cli]:
    """A home that is there for the demo alone; the exported files stay."""
    if "home" in cli.settings.model_fields_set or cli.settings.database_url:
        yield cli
        return
    home = folder / "home"
    settings = cli.settings.model_copy(update={"home": home})
    try:
        yield Cli(settings, cli.json)
    finally:
        remove_home(home)


def _license(deps: Wired) -> str:
    license_id = f"demo-{secrets.token_hex(4)}"
    licenses.create_license(
        deps,
        licenses.NewLicense(
            id=license_id,
            name="The demo",
            plan=Plan.V2,
            payment_term=PaymentTerm.MONTHLY,
            credits=_CREDITS,
        ),
    )
    return license_id


def _export(cli: Cli, deps: Wired, license_id: str, out: Path) -> _Numbers:
    request = quotes.Request(
        kind="export",
        license_id=license_id,
        user_id="demo",
        retrieve=(Item.EMAIL, Item.PHONE),
        email_level=EmailLevel.VERIFIED,
        only_with=None,
        export={"format": "csv"},
    )
    with as_file(files("worker.sample") / "congress.csv") as sample:
        stored = make_quote(cli, deps, request, MappedFile(sample, Asked(), None))
    cli.say(quote_text(stored))
    job_id = submission.submit(deps, stored.id, name="U.S. Congress")
    cli.say(f"job {job_id}: {stored.quote.max_credits:,} credits reserved")
    report = _follow(cli, deps, job_id)
    save(deps, report, out)
    for line in _ending(deps, report):
        cli.say(line)
    cli.say(f"  file      {out}\n")
    return _Numbers(stored.quote.max_credits, report.settled, report.released)


def _follow(cli: Cli, deps: Wired, job_id: str) -> JobReport:
    for report in follow(deps, job_id):
        reached = report.delivered + report.excluded + report.rejected
        cli.say(
            f"  {report.state:<10}{reached:>5,} of {report.records:,} records, "
            f"{report.settled:>5,} credits settled"
        )
    return report


def _ending(deps: Wired, report: JobReport) -> Iterator[str]:
    """What was found, what it was charged, and what came back."""
    yield (
        f"  found     {report.emails_found:,} e-mails, {report.phones_found:,} phones "
        f"for {report.delivered:,} delivered records"
    )
    with deps.database.transaction() as connection:
        sums = job_reports.charge_sums(connection, report.id)
    for item, rule, lines, credits_ in sums:
        yield f"  charged   {lines:>5,} x {item:<8} {credits_:>6,} credits ({rule})"
    yield f"  settled   {report.settled:>5,} of {report.reserved:,} reserved credits"
    yield f"  released  {report.released:>5,} credits, back to the license"


COMMANDS: tuple[click.Command, ...] = (demo,)
