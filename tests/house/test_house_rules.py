"""The rules of the house, held by the code itself.

Each rule is met by the whole product, and is shown a tiny file that breaks it, so
that a rule which notices nothing cannot pass for one that is kept.
"""

from collections.abc import Sequence

import pytest

from tests.house import rules
from tests.house.rules import Rule, Source

PRODUCT = rules.product()
HOUSE = rules.house()


def _broken(rule: Rule, sources: Sequence[Source] = PRODUCT) -> list[str]:
    return [violation for source in sources for violation in rule(source)]


def test_all_three_packages_are_looked_at():
    for package in rules.PACKAGES:
        assert len([source for source in PRODUCT if source.package == package]) >= 5


def test_the_places_that_rules_name_are_there():
    paths = {source.path for source in PRODUCT}
    named = {
        rules.CLOCK,
        rules.COMMITS,
        rules.GUARDIAN,
        rules.PUBLISHES,
    }
    assert named <= paths
    places = {
        place
        for table in (rules.IMPORTED_BY, rules.FRAMEWORKS)
        for entrances in table.values()
        for place in entrances
    }.union(rules.ASKS_OTHERS)
    for place in places:
        assert any(path.startswith(place) for path in paths), place


def test_worker_imports_storage_imports_pricing_and_never_back():
    assert _broken(rules.points_down) == []


def test_imports_are_absolute():
    assert _broken(rules.imports_absolutely, HOUSE) == []


def test_nothing_is_built_on_api_or_command_line():
    assert _broken(rules.entries_are_imported_by_nobody) == []


def test_frameworks_stay_in_the_entries():
    assert _broken(rules.frameworks_stay_in_the_entries) == []


def test_the_guardian_runs_on_the_standard_library_alone():
    assert _broken(rules.guardian_runs_alone) == []


def test_pricing_is_pure():
    assert _broken(rules.pricing_is_pure) == []


def test_credits_are_whole():
    assert _broken(rules.credits_are_whole) == []


def test_one_place_reads_the_clock():
    assert _broken(rules.one_place_reads_the_clock) == []


def test_one_place_commits():
    assert _broken(rules.one_place_commits) == []


def test_one_place_publishes():
    assert _broken(rules.one_place_publishes) == []


def test_one_place_writes_csv():
    assert _broken(rules.one_place_writes_csv) == []


def test_one_place_asks_others():
    assert _broken(rules.one_place_asks_others) == []


def test_functions_are_at_most_50_lines():
    assert _broken(rules.functions_are_short, HOUSE) == []


def test_files_are_at_most_500_lines():
    assert _broken(rules.files_are_short, HOUSE) == []


def test_every_module_says_what_it_is():
    assert _broken(rules.modules_say_what_they_are, HOUSE) == []


def test_nothing_is_left_for_later():
    assert _broken(rules.nothing_is_left_for_later, HOUSE) == []


def test_whoever_silences_a_check_names_it_and_says_why():
    assert _broken(rules.exceptions_have_a_reason, HOUSE) == []


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 50
COMMENTED_FUNCTION = "def f():\n" + "    # Why.\n" * 30 + "    x = 1\n" * 49
VERSION = "storage/migrations/versions/0001.py"

BREAKING = [
    (rules.points_down, "pricing/a.py", "import storage.database"),
    (rules.points_down, "pricing/a.py", "from worker.infrastructure import clock"),
    (rules.points_down, "storage/a.py", "from worker.infrastructure.clock import wait"),
    (rules.points_down, "storage/a.py", "def f():\n    import worker"),
    (rules.points_down, "worker/a.py", "from tests.servers import postgres_server"),
    (rules.imports_absolutely, "worker/a.py", "from . import clock"),
    (rules.imports_absolutely, "worker/cli/a.py", "from .invocation import Cli"),
    (rules.entries_are_imported_by_nobody, "worker/a.py", "import worker.cli"),
    (rules.entries_are_imported_by_nobody, "worker/a.py", "from worker import api"),
    (rules.entries_are_imported_by_nobody, "worker/api/a.py", "import worker.cli.jobs"),
    (
        rules.entries_are_imported_by_nobody,
        "worker/wiring.py",
        "from worker.embedded.home import Home",
    ),
    (rules.frameworks_stay_in_the_entries, "worker/jobs/submission.py", "import click"),
    (
        rules.frameworks_stay_in_the_entries,
        "worker/jobs/chunk_runner.py",
        "import celery.signals",
    ),
    (rules.frameworks_stay_in_the_entries, "storage/a.py", "from alembic import op"),
    (rules.frameworks_stay_in_the_entries, "worker/a.py", "import boto3.session"),
    (
        rules.frameworks_stay_in_the_entries,
        "worker/a.py",
        "from fastapi import FastAPI",
    ),
    (rules.guardian_runs_alone, rules.GUARDIAN, "import psutil"),
    (
        rules.guardian_runs_alone,
        rules.GUARDIAN,
        "from worker.infrastructure.clock import wait",
    ),
    (rules.pricing_is_pure, "pricing/a.py", "import random"),
    (rules.pricing_is_pure, "pricing/a.py", "from os import environ"),
    (rules.pricing_is_pure, "pricing/a.py", "import sqlalchemy"),
    (rules.pricing_is_pure, "pricing/a.py", "import logging"),
    (rules.pricing_is_pure, "pricing/a.py", "print(1)"),
    (rules.pricing_is_pure, "pricing/a.py", "x = open('a')"),
    (rules.credits_are_whole, "pricing/a.py", "x = 3 / 2"),
    (rules.credits_are_whole, "pricing/a.py", "x = 3\nx /= 2"),
    (rules.credits_are_whole, "pricing/a.py", "x = 0.5"),
    (rules.credits_are_whole, "pricing/a.py", "x = round(3)"),
    (rules.one_place_reads_the_clock, "worker/a.py", "import time"),
    (rules.one_place_reads_the_clock, "storage/a.py", "from time import monotonic"),
    (rules.one_place_reads_the_clock, "pricing/a.py", "x = datetime.now(UTC)"),
    (rules.one_place_reads_the_clock, "worker/a.py", "x = datetime.datetime.utcnow()"),
    (rules.one_place_reads_the_clock, "storage/a.py", "x = date.today()"),
    (rules.one_place_commits, "storage/jobs.py", "connection.commit()"),
    (rules.one_place_commits, "worker/a.py", "with engine.begin() as c: pass"),
    (rules.one_place_commits, "storage/a.py", "c.begin_nested()"),
    (rules.one_place_commits, "worker/a.py", "self.session.rollback()"),
    (
        rules.one_place_publishes,
        "worker/jobs/submission.py",
        "app.send_task('chunk.run')",
    ),
    (rules.one_place_publishes, "worker/celery_tasks.py", "run.delay(1)"),
    (rules.one_place_publishes, "worker/jobs/sweeper.py", "run.apply_async(args=[1])"),
    (rules.one_place_writes_csv, "worker/api/a.py", "csv.writer(line).writerow(cells)"),
    (rules.one_place_writes_csv, "worker/cli/a.py", "csv.DictWriter(text, names)"),
    (rules.one_place_asks_others, "worker/webhooks/a.py", "import httpx"),
    (rules.one_place_asks_others, "worker/connectors/a.py", "from httpx import post"),
    (rules.one_place_asks_others, "worker/a.py", "from urllib import request"),
    (rules.functions_are_short, "worker/a.py", LONG_FUNCTION),
    (rules.functions_are_short, "worker/a.py", "async " + LONG_FUNCTION),
    (rules.functions_are_short, "worker/a.py", LONG_FUNCTION.replace("= 1", "= 1 # a")),
    (rules.files_are_short, "worker/a.py", "x = 1\n" * 501),
    (rules.modules_say_what_they_are, "worker/a.py", "x = 1"),
    (rules.modules_say_what_they_are, "worker/a.py", ""),
    (rules.nothing_is_left_for_later, "worker/a.py", "x = 1  # TODO: more"),
    (rules.nothing_is_left_for_later, "worker/a.py", "raise NotImplementedError"),
    (rules.exceptions_have_a_reason, "worker/a.py", "import os  # noqa"),
    (rules.exceptions_have_a_reason, "worker/a.py", "import os  # noqa: F401"),
    (rules.exceptions_have_a_reason, "worker/a.py", "import os  # noqa: F401 because"),
    (rules.exceptions_have_a_reason, "worker/a.py", "x = f()  # type: ignore"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BREAKING)
def test_a_rule_notices_what_breaks_it(rule, path, text):
    (violation,) = rule(Source(path, text))
    assert violation.startswith(f"{path}:")


KEEPING = [
    (
        rules.points_down,
        "worker/a.py",
        "import pricing.plans, storage.database, worker.cli",
    ),
    (rules.points_down, "storage/a.py", "from pricing import plans"),
    (rules.points_down, "pricing/a.py", "import workers, storages"),
    (
        rules.imports_absolutely,
        "worker/a.py",
        "from worker.infrastructure import clock",
    ),
    (rules.entries_are_imported_by_nobody, "worker/cli/a.py", "import worker.api.app"),
    (rules.frameworks_stay_in_the_entries, "worker/cli/a.py", "import click"),
    (
        rules.guardian_runs_alone,
        "worker/embedded/stack.py",
        "import worker.infrastructure.clock",
    ),
    (rules.pricing_is_pure, "pricing/a.py", "from datetime import datetime"),
    (rules.pricing_is_pure, "storage/a.py", "import logging"),
    (rules.credits_are_whole, "pricing/a.py", "x = 7 // 2"),
    (rules.credits_are_whole, "worker/a.py", "x = 7 / 2"),
    (rules.one_place_reads_the_clock, rules.CLOCK, "import time"),
    (rules.one_place_reads_the_clock, "storage/a.py", "x = sa.func.now()"),
    (rules.one_place_reads_the_clock, "storage/a.py", "x = func.now()"),
    (rules.one_place_commits, rules.COMMITS, "engine.begin()"),
    (rules.one_place_publishes, rules.PUBLISHES, "app.send_task('a')"),
    (rules.one_place_writes_csv, f"{rules.WRITES_CSV[0]}a.py", "csv.writer(text)"),
    (rules.one_place_writes_csv, "worker/cli/a.py", "csv.reader([words])"),
    (rules.one_place_asks_others, rules.ASKS_OTHERS[0], "import httpcore, httpx"),
    (rules.one_place_asks_others, "worker/a.py", "from urllib.parse import urlsplit"),
    (rules.functions_are_short, "worker/a.py", COMMENTED_FUNCTION),
    (rules.functions_are_short, VERSION, LONG_FUNCTION),
    (rules.files_are_short, "worker/a.py", "x = 1\n" * 500),
    (rules.files_are_short, VERSION, "x = 1\n" * 501),
    (rules.modules_say_what_they_are, "worker/a.py", '"""What it is."""'),
    (rules.nothing_is_left_for_later, "worker/a.py", "TODOS = 1"),
    (rules.exceptions_have_a_reason, "worker/a.py", "x = 1  # noqa: F401 - an extra"),
    (rules.exceptions_have_a_reason, "worker/a.py", "x = 1  # type: ignore[arg-type]"),
    (rules.exceptions_have_a_reason, "worker/a.py", "x = '# noqa'"),
]


@pytest.mark.parametrize(("rule", "path", "text"), KEEPING)
def test_a_rule_leaves_alone_what_keeps_it(rule, path, text):
    assert rule(Source(path, text)) == []


def test_every_rule_is_shown_what_breaks_it_and_what_keeps_it():
    named = {
        rule
        for rule in vars(rules).values()
        if getattr(rule, "__annotations__", {}).get("source")
        and rule.__annotations__["return"] == list[str]
        if not rule.__name__.startswith("_")
    }
    assert named == {rule for rule, _, _ in BREAKING}
    assert named == {rule for rule, _, _ in KEEPING}
