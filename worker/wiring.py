"""The composition root: settings become the few things that use cases need.

The kinds of jobs and the handlers of outbox entries are named here, and nowhere else.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from pricing.findings import Finding
from storage.files.artifact_store import open_artifacts
from storage.files.artifacts import Artifacts
from storage.files.local_folder import close_to_others
from storage.findings import directory
from storage.jobs import jobs
from storage.pushes import dry_runs as kept_dry_runs
from storage.webhooks import events, operator_events, webhook_deliveries
from worker.connections.connection_opener import ConnectionDeps, ConnectionOpener
from worker.exports.export_kind import ExportKind
from worker.findings.provider_registry import ProviderRegistry
from worker.findings.providers.directory import Directory
from worker.infrastructure.dependencies import connect, never, new_owner
from worker.infrastructure.keyring import Keyring
from worker.infrastructure.name_resolution import resolve
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.settings import Settings
from worker.jobs.completion import complete
from worker.jobs.delivery import JobDeps, JobKind
from worker.jobs.dispatcher import Chore
from worker.jobs.sweeper import sweep
from worker.ledger.audit_process import AuditProcess
from worker.ledger.business_clock import TICK_EVERY_S, Ticker
from worker.pushes import dry_runs
from worker.pushes.push_kind import PushKind
from worker.retention.pruner import Pruner
from worker.webhooks import delivery_attempts, operator_webhook


@dataclass(frozen=True, kw_only=True)
class Wired(JobDeps, ConnectionDeps):
    """What API, command line and tasks hand to use cases: all that any needs."""


def wire(
    settings: Settings,
    *,
    draining: Callable[[], bool] = never,
    pool: int = 5,
) -> Wired:
    """Everything, from settings."""
    database = connect(settings, pool=pool)

    def look_up(persons: Collection[str]) -> Mapping[str, Finding]:
        with database.transaction() as connection:
            return directory.look_up(connection, persons)

    keyring = Keyring(settings)
    crms = ConnectionOpener(settings, keyring, database)
    return Wired(
        settings=settings,
        database=database,
        artifacts=_artifacts(settings),
        directory=Directory(look_up),
        providers=ProviderRegistry(settings),
        crms=crms,
        kinds=_kinds(crms),
        handlers={
            jobs.COMPLETE: complete,
            events.FAN_OUT: delivery_attempts.fan_out,
            webhook_deliveries.DELIVER: delivery_attempts.deliver,
            operator_events.DELIVER: operator_webhook.deliver,
            kept_dry_runs.RUN: partial(dry_runs.run, crms),
        },
        keyring=keyring,
        outbound=OutboundHttp(
            allow_private=settings.webhook_allow_private,
            timeout_s=settings.webhook_timeout_s,
        ),
        owner=new_owner(),
        draining=draining,
    )


def _artifacts(settings: Settings) -> Artifacts:
    if settings.artifacts_url is None:
        # In the home, and ours: a folder that somebody has named keeps its mode.
        close_to_others(settings.files_folder)
    # Three tries and their pauses end before a lease does.
    return open_artifacts(
        settings.store_url, timeout_s=settings.lease_s / 6, resolve=resolve
    )


def _kinds(crms: ConnectionOpener) -> Mapping[str, JobKind]:
    """The kinds of jobs, by the name that a request gives: a line for each."""
    return {
        "export": ExportKind(),
        "push": PushKind(crms),
    }


def chores_of(deps: JobDeps) -> tuple[Chore, ...]:
    """What the dispatcher does between dispatching."""
    settings = deps.settings
    return (
        # First: what the sweep ends goes by it.
        Chore(TICK_EVERY_S, Ticker(deps.database).tick),
        Chore(settings.sweep_interval_s, partial(sweep, deps)),
        Chore(settings.sweep_interval_s, Pruner(deps).turn),
        Chore(settings.sweep_interval_s, AuditProcess(deps).turn),
    )
