"""Every table with its constraints: if it must never happen, one of them says so.

Ids that clients choose are compared exactly, byte by byte, hence the collation
"C". Instants are `timestamptz`; whole numbers of credits are `bigint`. Triggers and
functions stand in `guards`, which the migrations repeat word for word.
"""

from storage.tables.accounts import (
    keys,
    licenses,
    notifications,
    templates,
    users,
)
from storage.tables.base import metadata
from storage.tables.finding import findings, lookup_items, lookups, provider_costs
from storage.tables.jobs import chunks, jobs, outcomes, parts, quotes, uploads
from storage.tables.keeping import erasures, removals
from storage.tables.ledger import (
    charge_ids,
    charges,
    entitlements,
    periods,
    refunds,
    reservations,
    transfers,
)
from storage.tables.pushing import (
    connections,
    dry_run_items,
    dry_runs,
    id_map,
    intents,
    unchanged_claims,
)
from storage.tables.work import (
    deliveries,
    delivery_attempts,
    directory,
    events,
    outbox,
    processes,
    requests,
    webhooks,
)

__all__ = [
    "charge_ids",
    "charges",
    "chunks",
    "connections",
    "deliveries",
    "delivery_attempts",
    "directory",
    "dry_run_items",
    "dry_runs",
    "entitlements",
    "erasures",
    "events",
    "findings",
    "id_map",
    "intents",
    "jobs",
    "keys",
    "licenses",
    "lookup_items",
    "lookups",
    "metadata",
    "notifications",
    "outbox",
    "outcomes",
    "parts",
    "periods",
    "processes",
    "provider_costs",
    "quotes",
    "refunds",
    "removals",
    "requests",
    "reservations",
    "templates",
    "transfers",
    "unchanged_claims",
    "uploads",
    "users",
    "webhooks",
]
