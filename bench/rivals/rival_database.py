"""The rivals' own database: the product's tables on the same server, and who waits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from bench.installations.contacts import credits_of
from bench.installations.installation import Differs, Installation
from bench.rivals import product
from storage.database import Database
from storage.ledger.settlement import Payer

_NAME = "rivals"
_LOOK_S = 0.05
_GIVE_UP_S = 1800.0


@dataclass(frozen=True, slots=True)
class RivalDatabase:
    """Where the rivals write, on the server of an installation."""

    installation: Installation
    url: str
    database: Database

    def new_job(self, count: int, tasks: int = 1) -> Payer:
        """A license, its reservation and a job that ends after so many tasks."""
        name = f"rival-{token_hex(5)}"
        with self.database.transaction() as connection:
            payer = product.new_job(connection, name, count)
        self.installation.rows(
            "INSERT INTO rival_jobs (job, open) VALUES (%s, %s)",
            *(name, tasks),
            database=_NAME,
        )
        return payer

    def wait(self, payer: Payer) -> None:
        """Wait until a job's last task has ended it."""
        began_s = time.perf_counter()
        while not self.installation.rows(
            "SELECT 1 FROM rival_jobs WHERE job = %s AND done IS NOT NULL",
            payer.job_id,
            database=_NAME,
        ):
            if time.perf_counter() - began_s > _GIVE_UP_S:
                raise RuntimeError(f"{payer.job_id} does not end")
            time.sleep(_LOOK_S)

    def check(self, payer: Payer, count: int) -> None:
        """Raise `Differs` where a job has not settled what its contacts cost."""
        ((settled, charged, ended),) = self.installation.rows(
            "SELECT settled, (SELECT sum(credits) FROM charges"
            "                  WHERE reservation_id = r.id)::bigint,"
            "       (SELECT count(*) FROM outcomes WHERE job_id = r.job_id)"
            "  FROM reservations AS r WHERE job_id = %s",
            payer.job_id,
            database=_NAME,
        )
        if (settled, charged, ended) != (*[credits_of(count)] * 2, count):
            message = (
                f"{payer.job_id}: settled, charged, ended {settled, charged, ended}"
            )
            raise Differs(message)


@contextmanager
def rival_database(installation: Installation) -> Iterator[RivalDatabase]:
    """Make the rivals' database, with the same directory as the installation's own."""
    installation.rows("CREATE DATABASE rivals")
    url = installation.database_url(_NAME)
    with_driver = url.replace("postgresql://", "postgresql+psycopg://")
    installation.run("migrate", HOLDFAST_DATABASE_URL=with_driver)
    directory = installation.folder / "directory.jsonl"
    if directory.exists():
        words = ("directory", "load", str(directory))
        installation.run(*words, HOLDFAST_DATABASE_URL=with_driver)
        installation.rows("VACUUM ANALYZE directory", database=_NAME)
    installation.rows(
        "CREATE TABLE rival_jobs (job text PRIMARY KEY, open integer NOT NULL,"
        " done timestamptz)",
        database=_NAME,
    )
    with product.opened(url, pool=3) as database:
        yield RivalDatabase(installation, url, database)
