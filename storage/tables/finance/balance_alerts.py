"""Balance alerts: thresholds of licenses, and what was told of them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    PrimaryKeyConstraint,
    Table,
)

from storage.tables.column_types import NOW, Id, Instant, metadata

_KINDS = "kind IN ('used_percent', 'credits_left')"

balance_alerts = Table(
    "balance_alerts",
    metadata,
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("kind", Id, nullable=False),
    # Percent of what was granted that is spent, or credits that are available.
    Column("threshold", BigInteger, nullable=False),
    PrimaryKeyConstraint("license_id", "kind", "threshold"),
    CheckConstraint(_KINDS, name="kind"),
    CheckConstraint(
        "threshold >= 0 AND (kind <> 'used_percent' OR threshold BETWEEN 1 AND 100)",
        name="threshold",
    ),
)

balance_alerts_told = Table(
    "balance_alerts_told",
    metadata,
    # Once a period and threshold, whatever comes back later.
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("kind", Id, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("told_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("period_id", "kind", "threshold"),
    CheckConstraint(_KINDS, name="kind"),
)
