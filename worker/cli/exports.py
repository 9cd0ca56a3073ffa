"""Quotes and exports of files: `quote`, `export`."""

import csv
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pricing.findings import EmailLevel, OnlyWith
from pricing.plans import Item
from storage.quotes import quotes
from storage.quotes.quotes import StoredQuote
from worker.cli.files.mapped_file import MappedFile, mapped_file
from worker.cli.files.uploads import kept, notes_text
from worker.cli.invocation import Cli, command
from worker.cli.jobs import exit_by, save, watch_job
from worker.cli.servers import with_database, with_workers
from worker.exports.writers.formats import FORMATS, NULLS, PROFILES
from worker.infrastructure.errors import bad
from worker.jobs import submission
from worker.quotes import quote_maker
from worker.responses import quote_responses
from worker.uploads import uploads
from worker.wiring import Wired, wired

_LOOK = (
    "profile",
    "split_records",
    "contacts_per_company",
    "skip_exported",
    "nulls",
    "template",
)


Look = dict[str, Any]
"""What the file is to look like, as it is stored with the quote."""


def _look(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say what the file is to look like, made into one."""

    @click.option("--format", "format_", type=click.Choice(FORMATS))
    @click.option("--profile", type=click.Choice(PROFILES), help="Of a CSV.")
    @click.option("--columns", help="field,field=heading,... in this order.")
    @click.option("--split-records", type=click.IntRange(min=100), help="Into a ZIP.")
    @click.option("--text-columns", help="field,field,... that Excel must not retype.")
    @click.option("--nulls", type=click.Choice(NULLS), help="Of JSON Lines, Parquet.")
    @click.option("--contacts-per-company", type=click.IntRange(min=0))
    @click.option("--skip-exported", is_flag=True, default=None)
    @click.option("--template", help="What is not said here is as it says.")
    @functools.wraps(function)
    def run(
        *args: Any,  # noqa: ANN401 - click's options
        format_: str | None,
        columns: str | None,
        text_columns: str | None,
        **options: Any,  # noqa: ANN401 - the same
    ) -> None:
        chosen = {
            "format": format_,
            "columns": None if columns is None else _columns(columns),
            "text_columns": None if text_columns is None else _words(text_columns),
        } | {name: options.pop(name) for name in _LOOK}
        look = {name: value for name, value in chosen.items() if value is not None}
        function(*args, look=look, **options)

    return run


def _columns(words: str) -> list[dict[str, str | None]]:
    """Columns as they are typed: fields, each with a heading where `=` gives one."""
    chosen = []
    for word in _words(words):
        field, _, heading = word.partition("=")
        chosen.append({"field": field.strip(), "heading": heading.strip() or None})
    if not chosen:
        raise bad("columns", "names no field")
    return chosen


def _words(words: str) -> list[str]:
    """What is typed with commas between; one that has a comma stands in quotes."""
    return next(csv.reader([words], skipinitialspace=True), [])


def _asked(function: Callable[..., None]) -> Callable[..., None]:
    """The options that `quote` and `export` share, made into one request."""

    @mapped_file("--upload-template")
    @click.option("--license", "license_id", required=True, help="Who pays.")
    @click.option("--user", "user_id", required=True, help="For whom.")
    @click.option("--retrieve", default="", help="email, phone, or email,phone.")
    @click.option(
        "--email-level",
        type=click.Choice([level.value for level in EmailLevel]),
        default=EmailLevel.VERIFIED.value,
        show_default=True,
    )
    @click.option("--only-with", type=click.Choice([with_.value for with_ in OnlyWith]))
    @_look
    @functools.wraps(function)
    def run(
        cli: Cli,
        *,
        license_id: str,
        user_id: str,
        retrieve: str,
        email_level: str,
        only_with: str | None,
        look: Look,
        **options: Any,  # noqa: ANN401 - click's options
    ) -> None:
        request = quotes.Request(
            kind="export",
            license_id=license_id,
            user_id=user_id,
            retrieve=_items(retrieve),
            email_level=EmailLevel(email_level),
            only_with=OnlyWith(only_with) if only_with else None,
            export=look,
        )
        function(cli, request=request, **options)

    return run


def _items(retrieve: str) -> tuple[Item, ...]:
    wanted = [name.strip() for name in retrieve.split(",") if name.strip()]
    for name in wanted:
        if name not in (Item.EMAIL, Item.PHONE):
            raise bad("retrieve", f"{name!r} is neither email nor phone")
    return tuple(item for item in (Item.EMAIL, Item.PHONE) if item in wanted)


def make_quote(
    cli: Cli, deps: Wired, request: quotes.Request, file: MappedFile
) -> StoredQuote:
    """Quote a file's records, with a bar while it is read.

    Where bad lines are left out they are kept beside an upload, and told there.
    """
    ready = file.prepared(deps, request.license_id)
    if ready.options.skip_bad:
        stored = kept(cli, deps, request.license_id, file)
        return quote_maker.quote(deps, request, uploads.reading_of(deps, stored))
    with file.opened(cli, deps, request.license_id, "quoting") as stream:
        reading = file.format.read(stream, ready.mapping, ready.options)
        return quote_maker.quote(deps, request, reading)


@command("quote")
@_asked
def quote(cli: Cli, *, request: quotes.Request, file: MappedFile) -> None:
    """Say what exporting FILE can cost at most; nothing is reserved."""
    with with_database(cli) as deps:
        stored = make_quote(cli, wired(deps), request, file)
    cli.answer(quote_responses.of_quote(stored), quote_text(stored))


@command("export")
@_asked
@click.option("--max-credits", type=click.IntRange(min=0), help="Refuse above this.")
@click.option("--name", help="What people call the job.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--watch", is_flag=True, help="Show progress.")
def export(
    cli: Cli,
    *,
    request: quotes.Request,
    file: MappedFile,
    max_credits: int | None,
    name: str | None,
    out: Path | None,
    watch: bool,
) -> None:
    """Quote FILE, run the job, wait for its end, and write its file to OUT."""
    if out is not None and not out.absolute().parent.is_dir():
        raise bad("out", f"there is no folder {out.absolute().parent}")
    with with_workers(cli) as servers:
        deps = wired(servers)
        stored = make_quote(cli, deps, request, file)
        if watch:
            cli.say(quote_text(stored))
        job_id = submission.submit(deps, stored.id, name=name, max_credits=max_credits)
        report = watch_job(cli, deps, job_id, watch=watch)
        if out is not None:
            save(deps, report, out)
            cli.say(f"written to {out}")
    exit_by(report)


def quote_text(stored: StoredQuote) -> str:
    """A quote for a person, line by line."""
    quote = stored.quote
    lines = [f"quote {stored.id}: at most {quote.max_credits:,} credits"]
    lines += [
        f"  {line.item.value:<8} {line.count:>9,} x {line.unit_credits}, "
        f"{line.free:,} free: {line.credits:>9,}"
        for line in quote.lines
    ]
    lines.append(
        f"  {quote.records:,} records ({quote.companies:,} companies, "
        f"{quote.persons:,} persons, {quote.duplicates:,} duplicates left out), "
        f"{quote.available:,} credits available"
    )
    if quote.trimmed:
        lines.append(f"  {quote.trimmed:,} records had white space around an id")
    left_out = quote_responses.of_quote(stored)["problems_total"]
    if left_out:
        lines.append(f"  {left_out:,} problems; what has one is left out")
    lines += notes_text(quote_responses.of_notes(stored.noticed))
    if quote.changed:
        lines.append(f"  {len(quote.changed):,} ids are priced as somebody new")
    if not quote.affordable:
        lines.append(f"  not affordable; the first {quote.fits_records:,} records fit")
    return "\n".join(lines)


COMMANDS: tuple[click.Command, ...] = (quote, export)
