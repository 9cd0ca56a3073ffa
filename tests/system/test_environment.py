"""What a machine's environment says to other programs leads nothing of ours astray."""

import os

import pytest

from storage.database import Database
from tests.support.fleet import QUICK, assert_exact, fleet_of, load_persons, submit
from tests.support.servers import own_broker, postgres_server
from worker.celery_app import make_app
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.settings import Settings

_ELSEWHERE = "amqp://127.0.0.1:1"
_PERSONS = 40


def test_without_a_broker_there_is_no_app():
    with pytest.raises(NotConfigured, match="HOLDFAST_BROKER_URL is not set"):
        make_app(Settings(broker_url=""))


def test_workers_use_the_broker_that_the_settings_name(
    database_url, tmp_path, monkeypatch
):
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "BROKER_URL"):
        monkeypatch.setenv(name, _ELSEWHERE)
    monkeypatch.setenv("APP", "somebody.elses")
    with own_broker(tmp_path / "broker") as broker, broker.running():
        folder = tmp_path / "fleet"
        with fleet_of(folder, database_url, broker.url, **QUICK) as fleet:
            load_persons(fleet.deps, _PERSONS)
            job_id = submit(fleet.deps, 0, _PERSONS)
            fleet.start("dispatcher", "worker")
            assert_exact(fleet, job_id, 0, _PERSONS)


def test_the_database_of_a_home_is_reached_whatever_libpq_is_told(monkeypatch):
    for name, value in (("PGHOST", "127.0.0.2"), ("PGHOSTADDR", "127.0.0.2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.delenv("HOLDFAST_TEST_DATABASE_URL", raising=False)
    with postgres_server() as url:
        database = Database(url)
        with database.transaction() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        database.close()


def test_no_test_sees_the_settings_of_the_machine_it_runs_on():
    ours = {name for name in os.environ if name.startswith(("HOLDFAST_", "PGH"))}
    assert {name for name in ours if not name.startswith("HOLDFAST_TEST_")} == set()
