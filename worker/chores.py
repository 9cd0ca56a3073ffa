"""The chores: what the dispatcher does between dispatching."""

from functools import partial

from worker.finance.balances.balance_alerts import BalanceWatch
from worker.finance.chain.check_process import ChainCheckProcess
from worker.finance.chain.sealing_chore import SealingChore
from worker.finance.reconciliation.reconcile_process import ReconcileProcess
from worker.finance.statements.period_close import StatementFreezer
from worker.jobs.delivery import JobDeps
from worker.jobs.dispatcher import Chore
from worker.jobs.sweeper import sweep
from worker.ledger.audit_process import AuditProcess
from worker.ledger.business_clock import TICK_EVERY_S, Ticker
from worker.operations.history_keeper import LOOK_EVERY_S, HistoryKeeper
from worker.retention.pruner import Pruner


def chores_of(deps: JobDeps) -> tuple[Chore, ...]:
    """All of them, in the order in which they are done."""
    settings = deps.settings
    return (
        # First: what the sweep ends goes by it.
        Chore(TICK_EVERY_S, Ticker(deps.database).tick),
        Chore(settings.sweep_interval_s, partial(sweep, deps)),
        Chore(settings.sweep_interval_s, Pruner(deps).turn),
        Chore(settings.sweep_interval_s, AuditProcess(deps).turn),
        Chore(settings.seal_s, SealingChore(deps).turn),
        Chore(settings.sweep_interval_s, ChainCheckProcess(deps).turn),
        Chore(settings.sweep_interval_s, StatementFreezer(deps).turn),
        Chore(settings.balance_alert_interval_s, BalanceWatch(deps).turn),
        Chore(settings.sweep_interval_s, ReconcileProcess(deps).turn),
        Chore(LOOK_EVERY_S, HistoryKeeper(deps).turn),
    )
