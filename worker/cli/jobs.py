"""Jobs: `jobs`, `job`."""

import json
import shutil
from pathlib import Path

import click

from storage.errors import ArtifactError
from storage.files.local_folder import written
from storage.findings import provider_costs as costs_of
from storage.jobs import job_reports
from storage.jobs.job_reports import JobReport
from storage.licenses import licenses
from storage.state_machine import JobState
from worker.cli.invocation import Cli, command
from worker.cli.progress import follow, follow_with_bar, report_of
from worker.cli.servers import with_database, with_workers
from worker.exports import download_links
from worker.exports.download_links import store_link
from worker.infrastructure import clock
from worker.infrastructure.dependencies import Deps
from worker.responses import credit_responses, job_responses, response

_FAILED = frozenset({JobState.FAILED, JobState.CANCELLED})


def watch_job(cli: Cli, deps: Deps, job_id: str, *, watch: bool) -> JobReport:
    """Follow a job to its end and answer it; with `watch` and JSON, line by line."""
    if watch and cli.json:
        report = report_of(deps, job_id)
        for report in follow(deps, job_id):
            click.echo(json.dumps(job_answer(deps, report)))
        return report
    if watch:
        report = follow_with_bar(cli, deps, job_id)
    else:
        *_, report = follow(deps, job_id)
    cli.answer(job_answer(deps, report), job_text(deps, report))
    return report


@command("jobs")
@click.option("--license", "license_id", help="Of this license.")
@click.option("--state", type=click.Choice([state.value for state in JobState]))
def jobs(cli: Cli, *, license_id: str | None, state: str | None) -> None:
    """List the newest jobs."""
    with with_database(cli) as deps:
        with deps.database.transaction() as connection:
            wanted = job_reports.WantedJobs(
                license_id=license_id, state=JobState(state) if state else None
            )
            found = job_reports.jobs(connection, wanted)
        items = [job_answer(deps, report) for report in found]
    cli.answer(
        {"items": items, "next": None},
        "\n".join(_job_line(report) for report in found) or "no jobs",
    )


@command("job")
@click.argument("job_id", metavar="ID")
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@click.option("--costs", is_flag=True, help="What providers were paid for it.")
def job(cli: Cli, *, job_id: str, watch: bool, costs: bool) -> None:
    """Show a job."""
    if costs:
        _show_costs(cli, job_id)
        return
    with (with_workers if watch else with_database)(cli) as deps:
        if watch:
            exit_by(watch_job(cli, deps, job_id, watch=True))
            return
        report = report_of(deps, job_id)
        cli.answer(job_answer(deps, report), job_text(deps, report))


def _show_costs(cli: Cli, job_id: str) -> None:
    with with_database(cli) as deps:
        report_of(deps, job_id)
        with deps.database.transaction() as connection:
            charged = costs_of.charged(connection, job_id)
            paid = costs_of.of_job(connection, job_id)
    lines = [
        f"charged  {f'{item} ({provider})' if provider else item:<26} {credits_:>9,}"
        for item, provider, _, credits_ in charged
    ]
    lines += [f"paid     {name:<26} {amount:>9,f}" for name, _, amount in paid]
    cli.answer(credit_responses.of_costs(job_id, charged, paid), "\n".join(lines))


def save(deps: Deps, report: JobReport, out: Path) -> None:
    """Copy a job's file out of the store, whole or not at all.

    Raises `ArtifactError`, and `DiskFull` where there is no room.
    """
    if report.file_artifact is None:
        raise ArtifactError(f"{report.id} left no file")
    with deps.artifacts.open(report.file_artifact) as source, written(out) as target:
        shutil.copyfileobj(source, target)


def exit_by(report: JobReport) -> None:
    if report.state in _FAILED:
        raise click.exceptions.Exit(1)


def job_answer(deps: Deps, report: JobReport) -> response.Answer:
    return job_responses.of_job(report, link=_link(deps, report))


def _link(deps: Deps, report: JobReport) -> download_links.Link | None:
    """Where a job's file can be had: a signed link of the store, or its path."""
    if report.file_artifact is None:
        return None
    with deps.database.transaction() as connection:
        now = licenses.business_now(connection)
    path = deps.artifacts.locate(report.file_artifact)
    return store_link(deps, report, now) or download_links.Link(path)


def job_text(deps: Deps, report: JobReport) -> str:
    """A job for a person."""
    records = (
        f"{report.delivered:,} delivered, {report.excluded:,} excluded, "
        f"{report.rejected:,} rejected, {report.unreached:,} unreached "
        f"of {report.records:,}"
    )
    credits_ = (
        f"{report.reserved:,} reserved, {report.settled:,} settled, "
        f"{report.released:,} released"
    )
    lines = [
        f"job {report.id}: {report.state}",
        f"  records  {records}",
        f"  found    {report.emails_found:,} e-mails, {report.phones_found:,} phones",
        f"  credits  {credits_}",
    ]
    if report.waiting_reason:
        until = clock.instant(report.waiting_until)
        words = f" until {until}" if until else ""
        lines.append(f"  waiting  {report.waiting_reason}{words}")
    if report.error_code:
        lines.append(f"  error    {report.error_code}: {report.error_detail}")
    link = _link(deps, report)
    if link is not None:
        lines.append(f"  file     {link.url}")
        lines.append(f"           {report.file_bytes:,} bytes, {report.file_sha256}")
    return "\n".join(lines)


def _job_line(report: JobReport) -> str:
    return (
        f"{report.id}  {report.state:<10}  {report.license_id}  "
        f"{report.delivered + report.excluded + report.rejected:,}"
        f"/{report.records:,} records  {report.settled:,}/{report.reserved:,} credits  "
        f"{report.name or ''}"
    ).rstrip()


COMMANDS: tuple[click.Command, ...] = (jobs, job)
