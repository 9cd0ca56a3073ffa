"""Every table with its constraints: if it must never happen, one of them says so.

Ids that clients choose are compared exactly, byte by byte, hence the collation
"C". Instants are `timestamptz`; whole numbers of credits are `bigint`. Triggers and
functions stand in `triggers`, which the migrations repeat word for word. Imports the
words that columns hold, from `pricing` and `storage`. Start with `ledger`, then `jobs`.
"""

from storage.tables.audit import audit_acknowledgements, audit_runs, audit_violations
from storage.tables.chain import (
    chain_checks,
    chain_erasures,
    chain_links,
    chain_runs,
    chain_texts,
)
from storage.tables.column_types import metadata
from storage.tables.connections import connections, id_map
from storage.tables.finance.balance_alerts import (
    balance_alerts,
    balance_alerts_told,
)
from storage.tables.finance.credit_notes import (
    credit_note_charges,
    credit_note_ids,
    credit_note_numbers,
    credit_notes,
    refund_allowances,
)
from storage.tables.finance.reconciliations import (
    reconciled_jobs,
    reconciliation_findings,
    reconciliations,
)
from storage.tables.finance.statements import statements
from storage.tables.findings import (
    directory,
    findings,
    lookup_items,
    lookups,
    provider_costs,
)
from storage.tables.history import counters, history
from storage.tables.jobs import chunks, jobs, outbox, parts, processes, record_outcomes
from storage.tables.ledger import (
    business_clock,
    charge_ids,
    charges,
    entitlements,
    periods,
    refunds,
    reservations,
    transfers,
)
from storage.tables.licenses import (
    keys,
    licenses,
    notifications,
    requests,
    templates,
    users,
)
from storage.tables.operations import (
    actions,
    chore_runs,
    job_changes,
    scope_pauses,
)
from storage.tables.pushes import (
    dry_run_items,
    dry_runs,
    intent_batches,
    intents,
    unchanged_claims,
)
from storage.tables.quotes import (
    derivation_keys,
    quotes,
    suffix_lists,
    upload_templates,
    uploads,
)
from storage.tables.retention import erasures, removals
from storage.tables.webhooks import (
    deliveries,
    delivery_attempts,
    events,
    operator_events,
    replaced_secrets,
    webhooks,
)

__all__ = [
    "actions",
    "audit_acknowledgements",
    "audit_runs",
    "audit_violations",
    "balance_alerts",
    "balance_alerts_told",
    "business_clock",
    "chain_checks",
    "chain_erasures",
    "chain_links",
    "chain_runs",
    "chain_texts",
    "charge_ids",
    "charges",
    "chore_runs",
    "chunks",
    "connections",
    "counters",
    "credit_note_charges",
    "credit_note_ids",
    "credit_note_numbers",
    "credit_notes",
    "deliveries",
    "delivery_attempts",
    "derivation_keys",
    "directory",
    "dry_run_items",
    "dry_runs",
    "entitlements",
    "erasures",
    "events",
    "findings",
    "history",
    "id_map",
    "intent_batches",
    "intents",
    "job_changes",
    "jobs",
    "keys",
    "licenses",
    "lookup_items",
    "lookups",
    "metadata",
    "notifications",
    "operator_events",
    "outbox",
    "parts",
    "periods",
    "processes",
    "provider_costs",
    "quotes",
    "reconciled_jobs",
    "reconciliation_findings",
    "reconciliations",
    "record_outcomes",
    "refund_allowances",
    "refunds",
    "removals",
    "replaced_secrets",
    "requests",
    "reservations",
    "scope_pauses",
    "statements",
    "suffix_lists",
    "templates",
    "transfers",
    "unchanged_claims",
    "upload_templates",
    "uploads",
    "users",
    "webhooks",
]
