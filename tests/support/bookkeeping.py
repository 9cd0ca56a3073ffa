"""Programs that keep books: they say whether a journal adds up, and to what."""

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def beancount_errors(journal: Path) -> str:
    """What beancount's own check says; nothing where it accepts all of it."""
    return _run(str(Path(sys.executable).parent / "bean-check"), str(journal))


def hledger_errors(journal: Path) -> str:
    """What hledger says of it in strict mode; nothing where it accepts all of it."""
    return _run(_hledger(), "check", "--strict", "--file", str(journal))


def hledger_balances(journal: Path) -> dict[str, int]:
    """What each account holds, by hledger's sums."""
    shown = _run(
        _hledger(),
        *("balance", "--flat", "--no-total", "--empty", "--output-format", "csv"),
        *("--file", str(journal)),
    )
    rows = list(csv.reader(io.StringIO(shown)))[1:]
    return {account: int(amount.split()[0]) for account, amount in rows}


def _hledger() -> str:
    program = shutil.which("hledger")
    if program is None:
        pytest.skip("no hledger: .ci/hledger installs it")
    return program


def _run(*words: str) -> str:
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    # Those who find something wrong say so; whoever fails silently has, too.
    return ran.stdout + ran.stderr or ("" if ran.returncode == 0 else "it failed")
