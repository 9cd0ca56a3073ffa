"""What a process does not use it does not load: memory and start are counted by it.

Each door is opened in a process of its own, as far as its module goes. What is named
here is large, or leads to what is large, and is loaded by whoever needs it.
"""

import json
import os
import subprocess
import sys

import click
import pytest

from tests.house.rules import ROOT
from worker.cli import holdfast
from worker.cli.command_table import COMMANDS

_DATABASE = {"sqlalchemy", "psycopg", "storage.tables"}
_BROKER = {"celery", "kombu", "redis", "limits"}
_API = {"fastapi", "starlette", "uvicorn", "prometheus_client", "worker.api"}
_OTHERS = {"httpx", "httpcore", "aiohttp", "worker.infrastructure.outbound_client"}
_FILES = {"pyarrow", "xlsxwriter", "boto3"}
_RARE = {
    *("alembic", "cryptography.fernet", "worker.sandbox", "celery.bin"),
    # Clients of others load a part of OpenTelemetry where it is installed.
    *("opentelemetry.sdk.trace", "opentelemetry.exporter", "pythonjsonlogger"),
}
_ALWAYS_RARE = _OTHERS | _FILES | _RARE

_DOORS = {
    "command_table": {
        *(_DATABASE | _BROKER | _API | _ALWAYS_RARE),
        *("pydantic", "asyncio", "ssl"),
    },
    "processes.up": _DATABASE | _BROKER | _API | _ALWAYS_RARE,
    "processes.supervisor": {
        *(_DATABASE | _BROKER | _API | _ALWAYS_RARE),
        *("pydantic", "asyncio", "ssl", "pricing", "http.client", "email"),
        *("worker.infrastructure.settings", "worker.wiring"),
    },
    "processes.preparation": _BROKER | _API | _ALWAYS_RARE | {"worker.wiring"},
    "processes.dispatcher": {
        *(_API | _ALWAYS_RARE),
        *(
            "pydantic",
            "limits",
            "celery.worker",
            "worker.celery_tasks",
            "worker.embedded",
        ),
    },
    "processes.worker": {
        *(_API | _ALWAYS_RARE),
        *("pydantic", "limits", "worker.embedded"),
    },
    "processes.api": {
        *_ALWAYS_RARE,
        *("celery", "kombu", "worker.jobs.dispatcher", "worker.embedded"),
    },
    "licenses": _BROKER | _API | _ALWAYS_RARE | {"worker.wiring", "worker.jobs"},
    "keys": _BROKER | _API | _ALWAYS_RARE | {"worker.wiring", "worker.jobs"},
    "maintenance": _BROKER | _API | _ALWAYS_RARE | {"worker.wiring", "worker.jobs"},
    "jobs": _BROKER | _API | _ALWAYS_RARE,
    "exports": _BROKER | _API | _ALWAYS_RARE,
}
"""The modules of commands, and what none of them may load before it is run."""


def _loaded(code: str) -> set[str]:
    """What a process has loaded that has run this."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


_TELL = "; import json, sys; print(json.dumps(list(sys.modules)))"


@pytest.mark.parametrize("door", _DOORS)
def test_a_door_loads_nothing_large_that_it_does_not_need(door):
    loaded = _loaded(f"import worker.cli.{door}{_TELL}")
    assert sorted(loaded & _DOORS[door]) == []


@pytest.mark.parametrize(
    ("words", "door"),
    [
        (["--help"], "command_table"),
        (["balanse", "acme"], "command_table"),
        (["up", "--prot", "1"], "processes.up"),
    ],
)
def test_help_and_a_typo_are_answered_before_anything_large_is_loaded(words, door):
    code = f"""
import sys
sys.argv = ["holdfast", *{words!r}]
from worker.cli import main
try:
    main()
except SystemExit:
    print(){_TELL}"""
    assert sorted(_loaded(code) & _DOORS[door]) == []


def test_the_table_of_commands_says_of_each_what_its_help_begins_with():
    context = click.Context(holdfast)
    for name in holdfast.list_commands(context):
        found = holdfast.get_command(context, name)
        assert found is not None
        assert found.hidden == (not COMMANDS[name].does), name
        if COMMANDS[name].does:
            assert " ".join((found.help or "").split()).startswith(COMMANDS[name].does)


def test_settings_are_all_that_names_providers_to_the_wiring():
    code = """
from worker.infrastructure.settings import Settings
from worker.wiring import wire
from pathlib import Path
import tempfile
home = Path(tempfile.mkdtemp())
url = "postgresql+psycopg://"
wire(Settings(home=home, database_url=url, providers="directory"))"""
    assert sorted(_loaded(code + "\n" + _TELL[2:]) & (_OTHERS | {"limits"})) == []
