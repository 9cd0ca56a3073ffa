"""Folders are nouns of the domain, and arrows between them go one way."""

import ast

import pytest

from tests.house import layout, rules
from tests.house.rules import Source

HOUSE = rules.house()
FOLDERS = sorted(
    folder.relative_to(rules.ROOT).as_posix() for folder in layout.folders()
)


def test_a_folder_imports_what_the_table_says_and_nothing_else():
    found = [wrong for source in HOUSE for wrong in layout.arrows_go_one_way(source)]
    assert found == []


def test_the_table_has_no_circle():
    above: list[str] = []
    for folder, listed in layout.MAY_IMPORT.items():
        assert {name for name in listed if name != "*"} <= {*above}, folder
        above.append(folder)


def test_every_folder_is_in_the_table_and_every_one_there_exists():
    assert [name for name in FOLDERS if not layout.is_listed(name)] == []
    assert [name for name in layout.MAY_IMPORT if name not in FOLDERS] == []


def test_what_the_table_allows_is_used():
    used: dict[str, set[str]] = {folder: set() for folder in layout.MAY_IMPORT}
    for source in HOUSE:
        own = layout.folder_of(source.path)
        for _, name in rules.imports_of(source):
            if name.split(".")[0] in {*rules.PACKAGES, rules.BESIDE}:
                used[own].add(layout.folder_of(f"{name.replace('.', '/')}/"))
    for folder, listed in layout.MAY_IMPORT.items():
        assert {name for name in listed if name != "*"} <= used[folder], folder


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_has_at_most_15_modules(name):
    assert len(layout.modules(rules.ROOT / name)) <= layout.MODULES_MAX


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_says_what_lives_in_it_and_where_to_start(name):
    assert "tart with" in _face(name)


@pytest.mark.parametrize("name", layout.MAY_IMPORT)
def test_a_folder_of_the_table_says_what_it_imports(name):
    assert "mport" in _face(name)


def _face(name: str) -> str:
    """What a folder says of itself."""
    face = rules.ROOT / name / "__init__.py"
    return ast.get_docstring(ast.parse(face.read_text("utf-8"))) or ""


def test_a_module_is_named_for_the_thing_in_it():
    found = [wrong for source in HOUSE for wrong in layout.names_are_nouns(source)]
    assert found == []


BREAKING = [
    (layout.arrows_go_one_way, "worker/jobs/a.py", "import worker.pushes.push_kind"),
    (layout.arrows_go_one_way, "worker/jobs/a.py", "from storage.exports import a"),
    (layout.arrows_go_one_way, "worker/quotes/a.py", "from worker.jobs import a"),
    (layout.arrows_go_one_way, "worker/jobs/a.py", "from worker import wiring"),
    (layout.arrows_go_one_way, "worker/quotes/readers/a.py", "import storage.errors"),
    (
        layout.arrows_go_one_way,
        "worker/connections/connectors/odoo/a.py",
        "from worker.findings.providers import http",
    ),
    (layout.arrows_go_one_way, "worker/exports/a.py", "import worker.api.app"),
    (layout.arrows_go_one_way, "storage/ledger/a.py", "from storage.jobs import jobs"),
    (layout.arrows_go_one_way, "worker/cli/a.py", "import bench.suite"),
    (layout.arrows_go_one_way, "bench/measurements/a.py", "import storage.database"),
    (layout.names_are_nouns, "worker/jobs/sealing.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text"), BREAKING)
def test_a_rule_of_the_layout_notices_what_breaks_it(rule, path, text):
    (violation,) = rule(Source(path, text))
    assert violation.startswith(f"{path}:")


KEEPING = [
    (
        layout.arrows_go_one_way,
        "worker/pushes/a.py",
        "from worker.jobs import delivery",
    ),
    (layout.arrows_go_one_way, "worker/wiring.py", "from worker.exports import a"),
    (layout.arrows_go_one_way, "worker/api/routes/a.py", "import worker.wiring"),
    (layout.arrows_go_one_way, "worker/cli/a.py", "import worker.api.app, click"),
    (layout.names_are_nouns, "worker/wiring.py", ""),
    (layout.names_are_nouns, "worker/quotes/record_pricing.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text"), KEEPING)
def test_a_rule_of_the_layout_leaves_alone_what_keeps_it(rule, path, text):
    assert rule(Source(path, text)) == []
