"""Uploads on the command line: `upload`."""

import click

from storage.uploads.uploads import StoredUpload
from worker.cli.files.mapped_file import MappedFile, mapped_file
from worker.cli.invocation import Cli, command
from worker.cli.servers import with_database
from worker.infrastructure.dependencies import Deps
from worker.responses import quote_responses
from worker.responses.response import Answer
from worker.uploads import column_mappings, uploads
from worker.uploads.column_guesses import Guess, hint_of
from worker.uploads.column_mappings import Seen


@command("upload")
@mapped_file("--template")
@click.option("--license", "license_id", required=True, help="Whose records.")
@click.option("--inspect", is_flag=True, help="Show what is in FILE, and keep nothing.")
def upload(cli: Cli, *, file: MappedFile, license_id: str, inspect: bool) -> None:
    """Check the records of FILE and keep them until they are quoted."""
    with with_database(cli) as deps:
        if inspect:
            seen = _seen(cli, deps, license_id, file)
            cli.answer(quote_responses.of_seen(seen), _seen_text(seen))
            return
        stored = kept(cli, deps, license_id, file)
    cli.answer(quote_responses.of_upload(stored), _upload_text(stored))


def kept(cli: Cli, deps: Deps, license_id: str, file: MappedFile) -> StoredUpload:
    """Keep the records of a file, with a bar while it is read."""
    ready = file.prepared(deps, license_id)
    with file.opened(cli, deps, license_id, "uploading") as stream:
        return uploads.upload(
            deps,
            license_id,
            file.format.read(stream, ready.mapping, ready.options),
            skip_bad=ready.options.skip_bad,
        )


def _seen(cli: Cli, deps: Deps, license_id: str, file: MappedFile) -> Seen:
    uploads.check_license(deps, license_id)
    with file.opened(cli, deps, license_id, "looking") as stream:
        kind = file.format.content_type
        return column_mappings.look(deps, license_id, kind, stream, file.asked.options)


def _upload_text(stored: StoredUpload) -> str:
    counts = (
        f"{stored.companies:,} companies, {stored.persons:,} persons, "
        f"{stored.duplicates:,} duplicates left out"
    )
    lines = [f"upload {stored.id}: {stored.records:,} records ({counts})"]
    if stored.trimmed:
        lines.append(f"  {stored.trimmed:,} records had white space around an id")
    lines += notes_text(quote_responses.of_notes(stored.noticed))
    if stored.problems_total:
        lines.append(f"  {stored.problems_total:,} problems; what has one is left out:")
        lines += [
            f"    line {line}: {f'{field}: ' if field else ''}{message}"
            for line, field, message in stored.problems[:_SHOWN]
        ]
    return "\n".join(lines)


_SHOWN = 10


def notes_text(notes: Answer) -> list[str]:
    """What is told of the file that records came in, line by line."""
    lines = []
    read = notes["read"]
    if read is not None:
        known = ("format", "encoding", "compression", "sheet")
        said = [str(read[name]) for name in known if read.get(name)]
        if read.get("delimiter"):
            said.append(f"cells apart by {read['delimiter']!r}")
        counts = (
            ("empty rows", read.get("empty_rows")),
            ("empty columns", read.get("empty_columns")),
            ("short rows", read.get("short_rows")),
        )
        said += [f"{count:,} {what}" for what, count in counts if count]
        lines.append(f"  read as {', '.join(said)}")
        lines += [f"  not read: {words}" for words in read.get("unread", ())]
    lines += [
        f'  "{column}" was taken for {field}'
        for column, field in notes["taken"].items()
    ]
    derived = notes["derived"]
    if derived["companies"] or derived["persons"]:
        lines.append(
            f"  ids were derived in {derived['companies']:,} records for the company, "
            f"in {derived['persons']:,} for the person"
        )
    return lines


def _seen_text(seen: Seen) -> str:
    """What is seen in a file, for a person."""
    guesses = seen.guesses
    lines = [f"{len(seen.inspection.names):,} columns"]
    if guesses.export is not None:
        lines.append(f"  it is {guesses.export}")
    if seen.template is not None:
        lines.append(f"  read it by --template {seen.template.name!r}")
    lines += map(_guess_text, guesses.columns)
    lines += [
        f"  {hint}"
        for field in guesses.proposal
        if (hint := hint_of(field, guesses)) is not None
    ]
    return "\n".join(lines)


def _guess_text(guess: Guess) -> str:
    if guess.field is None:
        return f'  "{guess.name}"{f": {guess.why}" if guess.why else ""}'
    return f'  "{guess.name}" is {guess.field} ({guess.confidence}): {guess.why}'


COMMANDS: tuple[click.Command, ...] = (upload,)
