"""What production is made of: the wheel on its own, and the services of the compose."""

import os
import re
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.database import Database
from storage.migrations.schema_version import is_migrated
from tests.support.databases import new_database
from tests.support.fleet import assert_exact, fleet_of, load_persons, submit, until
from tests.support.servers import own_broker

_ROOT = Path(__file__).parents[2]
_OURS = {"migrate", "api", "worker", "dispatcher"}


def _clean_env(**settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | settings


# -- The wheel ----------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=_ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_three_packages_and_the_sample(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "pricing",
        "storage",
        "worker",
    }
    for name in ("congress.csv", "congress-directory.jsonl", "SOURCE.md"):
        assert f"worker/sample/{name}" in names
    metadata = next(name for name in names if name.endswith("/METADATA"))
    assert "Private :: Do Not Upload" in zipfile.ZipFile(wheel).read(metadata).decode()


def _environment(folder: Path) -> tuple[Path, Path]:
    """An empty environment: its programs, and where its packages go."""
    venv.create(folder, with_pip=False, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    return (
        Path(sysconfig.get_path("scripts", "venv", vars=paths)),
        Path(sysconfig.get_path("purelib", "venv", vars=paths)),
    )


def _pip(python: Path, *words: str) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "--python", str(python), *words], check=True)


def _migrates(programs: Path, folder: Path, server: str) -> None:
    with new_database(server) as url:
        done = subprocess.run(
            [programs / "holdfast", "migrate"],
            cwd=folder,
            env=_clean_env(HOME=str(folder), HOLDFAST_DATABASE_URL=url),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "the schema is up to date\n"), done
        database = Database(url)
        with database.transaction() as connection:
            assert is_migrated(connection)
        database.close()


def test_the_wheel_alone_migrates_a_database(wheel, server, tmp_path):
    programs, packages = _environment(tmp_path / "env")
    # The packages it needs are those of this environment, without the checkout: a
    # path file that is reached through another is not followed.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    _pip(programs / "python", "install", "--quiet", "--no-deps", str(wheel))
    where = subprocess.run(
        [programs / "python", "-P", "-c", "import worker; print(worker.__file__)"],
        cwd=tmp_path,
        env=_clean_env(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(packages))
    _migrates(programs, tmp_path, server)


@pytest.mark.full
def test_the_production_lock_holds_all_that_the_wheel_needs(wheel, server, tmp_path):
    programs, _ = _environment(tmp_path / "env")
    lock = _ROOT / ".ci" / "requirements-production.txt"
    _pip(programs / "python", "install", "--quiet", "--require-hashes", "-r", str(lock))
    _pip(programs / "python", "install", "--quiet", "--no-deps", str(wheel))
    _pip(programs / "python", "check")
    _migrates(programs, tmp_path, server)


# -- The compose file ---------------------------------------------------------


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
    services: dict[str, Any] = compose["services"]
    return services


def test_the_compose_file_has_the_production_shape(services):
    assert set(services) == {"postgres", "redis", "proxy", *_OURS}
    for name in _OURS:
        environment = services[name]["environment"]
        assert "@postgres:5432/holdfast" in environment["HOLDFAST_DATABASE_URL"]
        assert environment["HOLDFAST_BROKER_URL"] == "redis://redis:6379/0"
        needed = services[name]["depends_on"]
        assert ("postgres" if name == "migrate" else "migrate") in needed
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
    for service in services.values():
        assert service["security_opt"] == ["no-new-privileges:true"]
    with_ports = [name for name, service in services.items() if "ports" in service]
    assert with_ports == ["proxy"]
    for name in ("worker", "dispatcher"):
        assert services[name]["healthcheck"]["test"][1:] == ["holdfast", "alive", name]
    assert services["worker"]["stop_grace_period"] == "120s"
    assert services["worker"]["restart"] == "unless-stopped"
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "holdfast"


def test_no_secret_stands_in_the_compose_file():
    for value in re.findall(
        r"PASSWORD: (\S+)", (_ROOT / "docker-compose.yml").read_text()
    ):
        assert value.startswith("${")


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


def _ready(port: str) -> bool:
    connection = HTTPConnection("127.0.0.1", int(port), timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == 200 and b"degraded" not in answer.read()
    except OSError:
        return False
    finally:
        connection.close()


def test_the_services_run_a_job_as_processes_with_their_environment(
    services, database_url, tmp_path
):
    port = _free_port()
    with ExitStack() as running:
        broker = running.enter_context(own_broker(tmp_path / "broker"))
        running.enter_context(broker.running())
        fleet = running.enter_context(
            fleet_of(tmp_path / "fleet", database_url, broker.url)
        )
        given = {
            "HOLDFAST_HOME": str(tmp_path / "fleet"),
            "HOLDFAST_DATABASE_URL": database_url,
            "HOLDFAST_BROKER_URL": broker.url,
        }
        for name in ("migrate", "api", "worker", "dispatcher"):
            environment = services[name]["environment"]
            assert set(environment) - {"FORWARDED_ALLOW_IPS"} == set(given)
            command = [
                port if word == "8000" else word for word in services[name]["command"]
            ]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.cli", *command],
                env=_clean_env(**given),
                cwd=tmp_path,
            )
            running.callback(process.wait)
            running.callback(process.terminate)
            if name == "migrate":
                assert process.wait(timeout=60) == 0
        until(lambda: _ready(port))
        check = services["api"]["healthcheck"]["test"][1:]
        healthy = [sys.executable, *(word.replace("8000", port) for word in check[1:])]
        assert subprocess.run(healthy, check=False).returncode == 0
        load_persons(fleet.deps, 100)
        assert_exact(fleet, submit(fleet.deps, 0, 100), 0, 100)
