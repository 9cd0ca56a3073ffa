"""The composition root: settings become the few things that use cases need.

The kinds of jobs and the handlers of outbox entries are named here, and nowhere else.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from storage.findings import directory
from storage.jobs import jobs
from storage.pushes import dry_runs as kept_dry_runs
from storage.webhooks import events, operator_events, webhook_deliveries
from worker.connections.connection_opener import ConnectionDeps, ConnectionOpener
from worker.exports.export_kind import ExportKind
from worker.findings.provider_registry import ProviderRegistry
from worker.findings.providers.directory import Directory, Known
from worker.infrastructure.dependencies import Deps, bare, never
from worker.infrastructure.settings import Settings
from worker.jobs.completion import complete
from worker.jobs.delivery import JobDeps, JobKind
from worker.pushes import dry_runs
from worker.pushes.push_kind import PushKind
from worker.webhooks import delivery_attempts, operator_webhook


@dataclass(frozen=True, kw_only=True)
class Wired(JobDeps, ConnectionDeps):
    """What API, command line and tasks hand to use cases: all that any needs."""


def wire(
    settings: Settings,
    *,
    draining: Callable[[], bool] = never,
    pool: int = 5,
    owner: str | None = None,
) -> Wired:
    """Everything, from settings."""
    return wired(bare(settings, draining=draining, pool=pool, owner=owner))


def wired(deps: Deps) -> Wired:
    """Everything, on what every use case is given."""

    def look_up(persons: Collection[str]) -> Mapping[str, Known]:
        with deps.database.reading() as connection:
            return directory.look_up(connection, persons)

    crms = ConnectionOpener(deps.settings, deps.keyring, deps.database)
    return Wired(
        **vars(deps),
        directory=Directory(look_up),
        providers=ProviderRegistry(deps.settings),
        crms=crms,
        kinds=_kinds(crms),
        handlers={
            jobs.COMPLETE: complete,
            events.FAN_OUT: delivery_attempts.fan_out,
            webhook_deliveries.DELIVER: delivery_attempts.deliver,
            operator_events.DELIVER: operator_webhook.deliver,
            kept_dry_runs.RUN: partial(dry_runs.run, crms),
        },
    )


def _kinds(crms: ConnectionOpener) -> Mapping[str, JobKind]:
    """The kinds of jobs, by the name that a request gives: a line for each."""
    return {
        "export": ExportKind(),
        "push": PushKind(crms),
    }
