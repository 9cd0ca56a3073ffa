"""How much memory a program takes at its peak, measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

PEAK = """
import resource

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
"""What a measured program begins with."""

# A process begins with the peak of whoever started it: that must be a small one.
_START = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-c", *sys.argv[1:]]).returncode)
"""


def run(program: str, *words: str) -> str:
    """Run a program's text with these arguments; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", _START, PEAK + program, *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
