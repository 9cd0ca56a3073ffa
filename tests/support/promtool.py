"""Prometheus' own promtool, where there is one: it says what Prometheus would take."""

import shutil
import subprocess

import pytest


def promtool(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run it; a test that needs it where it is missing is skipped, and says so."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool: .ci/prometheus installs it")
    return subprocess.run(
        [program, *words], input=given, capture_output=True, text=True, check=False
    )
