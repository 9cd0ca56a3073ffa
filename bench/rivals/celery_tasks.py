"""The usual Celery way: a task a contact, rows through the ORM, a chord at the end."""

import csv
import json
import os
import sys
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from celery import Celery, chord, group
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, registry

from bench.installations.contacts import COMPANY_PRICE, EMAIL_PRICE, PHONE_PRICE
from bench.rivals import product
from pricing.claims import KNOWN
from storage import tables
from storage.ledger.settlement import Payer

_BROKER = os.environ["RIVAL_CELERY_BROKER"]

app = Celery("rival", broker=_BROKER, backend=_BROKER)
app.conf.update(
    task_default_queue="rival",
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "rival:"},
    result_backend_transport_options={"global_keyprefix": "rival:"},
    worker_hijack_root_logger=False,
)

_registry = registry()


class _Row:
    """A row of a table, with its values as attributes."""

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class _Entitlement(_Row):
    exported_by: int | None


class _Charge(_Row):
    pass


class _Outcome(_Row):
    pass


class _Entry(_Row):
    email: str | None
    phone: str | None


for _class, _table in (
    (_Entitlement, tables.entitlements),
    (_Charge, tables.charges),
    (_Outcome, tables.record_outcomes),
    (_Entry, tables.directory),
):
    _registry.map_imperatively(_class, _table)


@cache
def _engine() -> Engine:
    url = os.environ["RIVAL_DATABASE"]
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


@app.task(name="rival.contact", acks_late=True)
def contact(payer: dict[str, Any], number: int, row: list[str]) -> list[str]:
    """Find, settle and record one contact; its row of the file."""
    job = product.payer_from_json(payer)
    with Session(_engine(), expire_on_commit=False) as session:
        entry = session.get(_Entry, row[3])
        email, phone = (entry.email, entry.phone) if entry else (None, None)
        due = [("company", row[0], COMPANY_PRICE)]
        due += [("email", row[3], EMAIL_PRICE)] if email else []
        due += [("phone", row[3], PHONE_PRICE)] if phone else []
        spent = sum(_settled(session, job, *one) for one in due)
        session.add(
            _Outcome(
                job_id=job.job_id,
                license_id=job.license_id,
                record=number,
                company_id=row[0],
                person_id=row[3],
                outcome="delivered",
                email_found=bool(email),
                phone_found=bool(phone),
            )
        )
        session.flush()
        more = text("UPDATE reservations SET settled = settled + :c WHERE id = :r")
        session.execute(more, {"c": spent, "r": job.reservation_id})
        session.commit()
    return [*row, email or "", phone or ""]


def _settled(
    session: Session, job: Payer, item: str, subject: str, credits_: int
) -> int:
    """Charge one thing, unless the license has it already; what it cost."""
    key = {"l": job.license_id, "i": item, "s": subject, "d": KNOWN}
    session.execute(
        text(
            "INSERT INTO entitlements (license_id, item, subject, digest)"
            " VALUES (:l, :i, :s, :d) ON CONFLICT DO NOTHING"
        ),
        key,
    )
    held = session.get(_Entitlement, tuple(key.values()), with_for_update=True)
    if held is None or held.exported_by is not None:
        return 0
    id_ = session.execute(text("SELECT nextval('charges_id_seq')")).scalar_one()
    at = datetime.now(UTC)
    session.add(
        _Charge(
            id=id_,
            license_id=job.license_id,
            period_id=job.period_id,
            reservation_id=job.reservation_id,
            job_id=job.job_id,
            user_id=job.user_id,
            item=item,
            subject=subject,
            digest=KNOWN,
            credits=credits_,
            rule="price",
            charged_at=at,
        )
    )
    for name, value in (
        *(("settled_as", id_), ("exported_by", id_)),
        ("exported_at", at),
    ):
        setattr(held, name, value)
    return credits_


@app.task(name="rival.finish")
def finish(rows: list[list[str]], job: str, path: str) -> None:
    """Write the file of all rows, and end the job."""
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    with _engine().begin() as connection:
        ended = "UPDATE rival_jobs SET done = clock_timestamp() WHERE job = :job"
        connection.execute(text(ended), {"job": job})


def main() -> None:
    """Queue a task for each row of a file, and print the CPU seconds of that."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    began_s = time.process_time()
    with Path(asked["path"]).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    tasks = [contact.s(asked["payer"], at, row) for at, row in enumerate(rows, 1)]
    out = str(Path(asked["folder"]) / "out.csv")
    chord(group(tasks))(finish.s(asked["payer"]["job_id"], out))
    print(time.process_time() - began_s)
