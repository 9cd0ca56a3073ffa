"""`worker`: the process that works on chunks, with its children."""

import click

from worker.celery_app import make_app, run_worker
from worker.celery_tasks import register, start_beside
from worker.cli.invocation import Cli, command
from worker.cli.processes.database_checks import need_schema, tell_of_other_offset
from worker.cli.processes.long_running import (
    begins_after,
    need,
    say_of_itself,
)
from worker.findings.provider_names import check_limits
from worker.infrastructure.dependencies import new_owner
from worker.infrastructure.telemetry.log_format import (
    JSON,
    silence_stdout,
)
from worker.small_job_process import SmallJobProcess


@command("worker")
@begins_after
def worker(cli: Cli) -> None:
    """Work on chunks; TERM lets batches end and gives chunks back."""
    settings = cli.settings
    say_of_itself(settings, "worker")
    if settings.log_format == JSON:
        # Celery greets there, and where logs are kept both go into one.
        silence_stdout()
    need(settings, "database_url", "broker_url")
    check_limits(settings)
    need_schema(settings)
    tell_of_other_offset(settings)
    app = make_app(settings)
    heartbeat = register(app, settings)
    if settings.small_job_records:
        start_beside(SmallJobProcess(settings, heartbeat.owner))
    status = run_worker(
        app,
        concurrency=settings.worker_concurrency,
        hostname=new_owner().replace(":", "-"),
    )
    raise click.exceptions.Exit(1 if heartbeat.has_failed else status)


COMMANDS: tuple[click.Command, ...] = (worker,)
