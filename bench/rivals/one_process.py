"""The floor: one process that parses the file, copies the rows, writes the file.

No queue, no second process, one transaction: nothing of it can be resumed, paused or
repeated. It decides what is due itself, and does in one pass what a job does in many.
"""

import csv
import hashlib
import os
import time
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, text

from bench.installations.contacts import (
    COMPANY_PRICE,
    EMAIL_PRICE,
    FOUND_COLUMNS,
    PHONE_PRICE,
)
from bench.installations.process_tree import cpu_by_role, since
from bench.rivals import product
from bench.rivals.rival_database import RivalDatabase
from storage.ledger.settlement import Payer

_BATCH = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What one whole export costs one process and PostgreSQL."""

    wall_s: float
    own_cpu_s: float
    postgres_cpu_s: float
    wal_bytes: float
    sha256: str

    @property
    def cpu_s(self) -> float:
        """CPU seconds of both."""
        return self.own_cpu_s + self.postgres_cpu_s


def export(rivals: RivalDatabase, path: Path, count: int) -> Floor:
    """Export the file's contacts. Raises `Differs` where the totals are not theirs."""
    installation = rivals.installation
    payer = rivals.new_job(count)
    installation.rows("CHECKPOINT")
    out = path.with_suffix(".out.csv")
    wal_bytes, before = installation.written_bytes(), cpu_by_role(installation.pid)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    with rivals.database.transaction() as connection:
        with path.open(newline="") as source, out.open("w", newline="") as target:
            credits_ = copied(connection, payer, source, target)
            target.flush()
            os.fsync(target.fileno())
        product.settle_total(connection, payer, credits_)
    wall_s, own_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    used = since(cpu_by_role(installation.pid), before)
    wal_bytes = installation.written_bytes() - wal_bytes
    rivals.check(payer, count)
    return Floor(
        wall_s=wall_s,
        own_cpu_s=own_cpu_s,
        postgres_cpu_s=used.get("postgres", 0),
        wal_bytes=wal_bytes,
        sha256=hashlib.sha256(out.read_bytes()).hexdigest(),
    )


def copied(
    connection: Connection, payer: Payer, source: TextIOWrapper, target: TextIOWrapper
) -> int:
    """Parse, look up, copy and write a batch at a time; the credits that are due."""
    reader, writer = csv.reader(source), csv.writer(target)
    writer.writerow([*next(reader), *FOUND_COLUMNS])
    at = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    companies: set[str] = set()
    number, credits_ = 0, 0
    while rows := list(islice(reader, _BATCH)):
        found = product.look_up(connection, {row[3] for row in rows})
        charges: list[product.Charged] = []
        outcomes: list[product.Ended] = []
        lines = []
        for row in rows:
            number += 1
            one = found.get(row[3])
            email, phone = (one.email, one.phone) if one else (None, None)
            if row[0] not in companies:
                companies.add(row[0])
                charges.append(("company", row[0], COMPANY_PRICE, None, None))
            own = product.own_digest(row) if email or phone else None
            if email:
                charges.append(("email", row[3], EMAIL_PRICE, "directory", own))
            if phone:
                charges.append(("phone", row[3], PHONE_PRICE, "directory", own))
            outcomes.append((number, row[0], row[3], bool(email), bool(phone)))
            status = one.email_status if one and email else ""
            lines.append([*row, email or "", status, phone or ""])
        writer.writerows(lines)
        product.copy_batch(connection, payer, at, charges, outcomes)
        credits_ += sum(charge[2] for charge in charges)
    return credits_
