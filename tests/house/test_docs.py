"""What the documents say of the product is true of it."""

import json
import re
import time
from pathlib import Path
from typing import Any

import click
import pytest

from storage.ledger.audit import CHECKS
from storage.state_machine import JobState
from storage.webhooks.events import EventType
from storage.webhooks.operator_events import OperatorEventType
from worker.cli import holdfast
from worker.infrastructure.message_signatures import new_secret, signed_headers
from worker.infrastructure.settings import Settings

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]


def _read(name: str) -> str:
    return (_ROOT / name).read_text()


def _commands(group: click.Group, prefix: str = "") -> set[str]:
    names: set[str] = set()
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            names |= _commands(command, f"{prefix}{name} ")
        is_only_a_way = isinstance(command, click.Group) and command.no_args_is_help
        if not command.hidden and not is_only_a_way:
            names.add(f"{prefix}{name}")
    return names


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_is_described_and_no_other():
    page = _read("docs/command-line.md")
    rows = re.findall(r"^\| (`.+?`) \|", page, flags=re.MULTILINE)
    described = {
        re.split(r" [A-Z\[.-]", words)[0]
        for row in rows
        for words in re.findall(r"`([^`]+)`", row)
    }
    assert described == _commands(holdfast)


def test_every_setting_is_described_with_its_default():
    page = _read("docs/settings.md")
    rows = dict(re.findall(r"^\| `HOLDFAST_(\w+)` \| `?(.*?)`? \|", page, re.MULTILINE))
    described = {name.lower() for name in rows}
    assert described == set(Settings.model_fields) - {"under_up"}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, (int, float)) and name != "under_up":
            assert float(rows[name.upper()]) == float(field.default), name


def test_every_audit_check_and_every_job_state_is_described():
    ledger, job = _read("docs/ledger.md"), _read("docs/job.md")
    assert set(re.findall(r"^\| `(\w+_\w+)` \|", ledger, re.MULTILINE)) >= set(CHECKS)
    assert all(f"`{state}`" in job for state in JobState)


def test_every_alert_is_in_the_runbook_and_every_page_in_the_index():
    alerts = re.findall(r"- alert: (\w+)", _read("docs/monitoring/alerts.yml"))
    runbook = re.findall(r"^## (\w+)$", _read("docs/runbook.md"), re.MULTILINE)
    assert runbook == alerts
    index = _read("docs/README.md")
    pages = {page.name for page in (_ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not {page for page in pages if f"({page})" not in index}


def test_every_event_is_described_and_its_examples_are_json():
    page = _read("docs/webhooks.md")
    rows = set(re.findall(r"^\| `(\w+\.\w+)` \|", page, re.MULTILINE))
    assert rows == {type_.value for type_ in (*EventType, *OperatorEventType)}
    examples = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert {json.loads(example)["type"] for example in examples} == rows


def test_the_signature_is_verified_as_described():
    page = _read("docs/webhooks.md")
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    right, other, old = (new_secret() for _ in range(3))
    headers = signed_headers([right, old], "evt_1", int(time.time()), b"{}")
    late = signed_headers([right, old], "evt_1", 1, b"{}")
    assert len(snippets) == 3
    for snippet in snippets:

        def accepts(*given: Any, snippet: str = snippet) -> bool:
            body, headers, secret = given
            names = {"body": body, "headers": headers, "secret": secret}
            try:
                exec(snippet, names)
            except Exception:  # noqa: BLE001 - each library has its own
                return False
            return bool(names.get("is_ours", True))

        assert accepts(b"{}", headers, right)
        assert accepts(b"{}", headers, old)
        assert not accepts(b"{}", headers, other)
        assert not accepts(b"[]", headers, right)
        assert not accepts(b"{}", late, right)


def test_the_readme_begins_with_the_two_commands_that_exist():
    first_screen = "\n".join(_read("README.md").splitlines()[:24])
    targets = re.findall(r"^(\w[\w-]*):", _read("Makefile"), re.MULTILINE)
    for target in ("demo", "test"):
        assert f"make {target}" in first_screen
        assert target in targets
    for page in _PAGES:
        for target in re.findall(r"`make ([\w-]+)`", page.read_text()):
            assert target in targets, page


def test_the_commands_that_the_readme_shows_can_be_parsed():
    shown = re.findall(r"^holdfast ((?:.*\\\n)*.*)$", _read("README.md"), re.MULTILINE)
    assert len(shown) > 5
    for line in shown:
        words = line.replace("\\\n", " ").replace('"', "").split()
        command: click.Command | None = holdfast
        while isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
        options = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= options
