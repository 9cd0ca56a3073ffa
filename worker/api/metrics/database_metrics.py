"""What waits and runs, as the database has it at the moment of asking."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from sqlalchemy.exc import SQLAlchemyError

from storage.database import Database
from storage.finance.chain import held_back
from storage.finance.chain import verdicts as chain_verdicts
from storage.finance.chain.held_back import OldestTransaction
from storage.finance.chain.verdicts import ChainVerdict
from storage.finance.reconciliation import runs
from storage.jobs import queue_metrics
from storage.jobs.queue_metrics import Queues
from storage.ledger import audit, audit_verdicts, business_clock
from storage.ledger.audit_verdicts import Verdict
from storage.operations import chore_runs, counters
from worker.api.metrics import counted_metrics, reconciliation_metrics
from worker.api.metrics.pause_metrics import PauseMetrics
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.jobs.sweeper import SWEEP
from worker.ledger.audit import late_after_s
from worker.ledger.business_clock import state_of


class DatabaseMetrics:
    """Looks into the database; without one, `holdfast_database_up` says so."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._within_s = settings.report_interval_s * MISSED_REPORTS
        self._late_after_s = late_after_s(settings)
        self._pauses = PauseMetrics(settings)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of one look."""
        standing = self._pauses.look()
        try:
            with self._database.transaction() as connection:
                found = queue_metrics.look(
                    connection, processes_within_s=self._within_s
                )
                clock = business_clock.read(connection)
                verdict = audit_verdicts.verdict(
                    connection, late_after_s=self._late_after_s
                )
                sealed_age_s = chain_verdicts.sealed_age_s(connection)
                chain = chain_verdicts.last(connection)
                oldest = held_back.oldest(connection)
                counted = counters.read(connection)
                ages_s = chore_runs.ages_s(connection)
                reconciled = runs.last_verdict(connection)
                pauses = list(self._pauses.families(standing, connection))
        except SQLAlchemyError:
            found = None
        is_up = found is not None
        yield _gauge("database_up", "Whether the database answers.", float(is_up))
        if found is not None:
            yield from _gauges(found)
            yield _gauge(
                "clock_held_back_seconds",
                "How far the database's clock is ahead of business time.",
                max(0, clock.held_back_by.total_seconds()),
            )
            yield _gauge(
                "clock_held_back",
                "Whether business time does not go by the database's clock.",
                float(state_of(clock) != "ok"),
            )
            yield from _audit_gauges(verdict)
            yield from _chain_gauges(sealed_age_s, chain, oldest)
            if SWEEP in ages_s:
                yield _gauge(
                    "sweep_age_seconds",
                    "How long ago a dispatcher has looked for what was lost.",
                    ages_s[SWEEP],
                )
            yield from reconciliation_metrics.families(reconciled)
            yield from counted_metrics.families(counted)
            yield from pauses


def _gauges(found: Queues) -> Iterator[Metric]:
    yield _by("jobs", "Jobs that have not ended.", "state", found.jobs)
    yield _by("chunks", "Chunks that are not done.", "state", found.chunks)
    yield _by("outbox_entries", "Entries that are not done.", "topic", found.outbox)
    roles = {"worker": 0, "dispatcher": 0} | found.processes
    yield _by("processes", "Processes that reported of late.", "role", roles)
    yield _by(
        "memory_bytes",
        "Memory of processes that reported of late, with their children.",
        "role",
        found.memory_bytes,
    )
    yield _gauge(
        "oldest_chunk_wait_seconds",
        "How long a chunk has waited that may run.",
        found.oldest_chunk_s,
    )
    yield _gauge(
        "oldest_outbox_wait_seconds",
        "How long an entry has waited that is due.",
        found.oldest_entry_s,
    )
    yield _gauge(
        "idle_job_seconds",
        "How long a job has run without progress that waits for nothing it knows of.",
        found.idle_job_s,
    )
    yield _gauge(
        "credits_reserved",
        "Credits that open reservations still hold.",
        found.credits_reserved,
    )
    dropped = CounterMetricFamily(
        "holdfast_messages_dropped",
        "Messages of the broker that no worker could run.",
        labels=["queue", "reason"],
    )
    for labels, count in found.dropped.items():
        dropped.add_metric(labels, count)
    yield dropped


def _audit_gauges(found: Verdict) -> Iterator[GaugeMetricFamily]:
    counts = dict.fromkeys(audit.CHECKS, 0) | found.violations
    yield _by(
        "audit_violations", "Broken promises that nobody acknowledged.", "check", counts
    )
    yield _gauge("audit_late", "Whether an audit is overdue.", float(found.late))


def _chain_gauges(
    sealed_age_s: float | None,
    found: ChainVerdict | None,
    oldest: OldestTransaction | None,
) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "chain_held_back_seconds",
        "How long the oldest transaction of the server has been open: nothing that it "
        "could come before is sealed, nor is a period closed behind it.",
        oldest.age_s if oldest else 0.0,
    )
    if sealed_age_s is not None:
        yield _gauge(
            "chain_sealed_age_seconds",
            "How long ago what was written of money was sealed.",
            sealed_age_s,
        )
    if found is not None:
        yield _gauge(
            "chain_breaks",
            "Breaks that the last look through the whole chain has found.",
            float(found.breaks),
        )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=value)


def _by(
    name: str, text: str, label: str, counts: Mapping[str, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"holdfast_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
