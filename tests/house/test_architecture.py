"""`docs/architecture.md` names what is there, and all that is there."""

import re

import pytest

from tests.house import layout
from tests.house.rules import PACKAGES, ROOT, Source, imports_of, product

PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(
    set(re.findall(r"`((?:pricing|storage|worker|bench|tests|docs)/[\w/.]*)`", PAGE))
)
PARTS_OF_OTHERS = ("worker/connections/connectors/", "worker/sandbox/")
"""Folders that are named as a whole: one for each vendor."""
CHANGES = 30


def _section(title: str) -> str:
    pattern = rf"^## {title}$(.*?)(?=^## |\Z)"
    (text,) = re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def _arrows() -> set[tuple[str, str]]:
    """The arrows of the second diagram: folders of the worker."""
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", _section("Folders"), re.DOTALL)
    return set(re.findall(r"(\w+) --> (\w+)", diagram))


def _imports_of(folder: str) -> set[str]:
    """The nouns that a folder of the worker imports, or may through its families."""
    nouns: set[str] = set()
    for source in product():
        if layout.folder_of(source.path).startswith(f"worker/{folder}"):
            nouns |= _nouns(source)
    return nouns - {folder}


def _nouns(source: Source) -> set[str]:
    names = (name for _, name in imports_of(source))
    return {name.split(".")[1] for name in names if name.startswith("worker.")}


@pytest.mark.parametrize("path", NAMED)
def test_every_path_that_it_names_exists(path):
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


def test_it_names_every_folder():
    folders = {f"{path.relative_to(ROOT).as_posix()}/" for path in layout.folders()}
    roots = {f"{package}/" for package in PACKAGES} | {"storage/migrations/versions/"}
    inner = {one for one in folders if one.startswith(PARTS_OF_OTHERS)}
    assert sorted(folders - roots - inner - {*NAMED}) == []
    assert {*PARTS_OF_OTHERS} <= {*NAMED}


def test_its_arrows_between_folders_are_imports():
    for above, below in _arrows():
        if above not in {"api", "console", "cli", "wiring"}:
            assert below in _imports_of(above), f"{above} --> {below}"
            assert f"worker/{below}" in layout.allowed(f"worker/{above}")


def test_every_import_between_folders_follows_its_arrows():
    arrows = _arrows()
    drawn = {name for arrow in arrows for name in arrow} - {"api", "cli", "wiring"}
    for folder in drawn:
        for other in _imports_of(folder) & drawn:
            assert other in _below(folder, arrows), f"{folder} --> {other}"


def _below(folder: str, arrows: set[tuple[str, str]]) -> set[str]:
    """All that a folder leads to, along one arrow or several."""
    direct = {below for above, below in arrows if above == folder}
    return direct.union(*(_below(one, arrows) for one in direct))


def test_it_says_for_thirty_changes_where_to_go_and_each_way_of_a_job_by_its_files():
    rows = re.findall(
        r"^\| (?!Change|-).* \| .*", _section("I want to … → go here"), re.MULTILINE
    )
    assert len(rows) >= CHANGES
    steps = re.findall(
        r"^\| (?!Step|-).* \| (.*) \|$", _section("The way of a job"), re.MULTILINE
    )
    assert steps
    assert all(".py`" in step for step in steps)
