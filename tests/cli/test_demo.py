"""The first thing anybody runs: the demo, with its exact numbers."""

import json
import os
import subprocess
import sys


def test_demo_prints_the_right_numbers_and_leaves_only_the_exported_files(tmp_path):
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    demo = subprocess.run(
        [sys.executable, "-P", "-m", "worker.cli", "demo", "--json"],
        env=env | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr
    assert json.loads(demo.stdout) == {
        "exports": [
            {"quoted": 1717, "settled": 1178, "released": 539},
            {"quoted": 539, "settled": 0, "released": 539},
        ],
        "right": True,
    }
    files = sorted(path.name for path in tmp_path.glob("holdfast-demo-*/*"))
    assert files == ["congress-1.csv", "congress-2.csv"]
