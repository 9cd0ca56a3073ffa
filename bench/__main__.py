"""`python -m bench`: measure, show, and with --write keep it in docs/performance.md."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from bench import suite
from bench.report import page
from bench.report.sizes import Sizes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(suite.MEASUREMENTS))
    parser.add_argument("--against", metavar="COMMIT", help="measure it side by side")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--share", type=float, help="of all sizes but the rounds")
    for one in fields(Sizes):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=int)
    return parser


def _sizes(asked: argparse.Namespace) -> Sizes:
    sizes = Sizes().scaled(asked.share) if asked.share else Sizes()
    given = {one.name: getattr(asked, one.name) for one in fields(Sizes)}
    return replace(sizes, **{name: size for name, size in given.items() if size})


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    # So that what was started is ended, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = _parser()
    asked = parser.parse_args(words)
    if unknown := {*asked.names} - {*suite.MEASUREMENTS}:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    names = asked.names or list(suite.MEASUREMENTS)
    keep = _keep if asked.write else _forget
    if differing := suite.run(names, _sizes(asked), asked.against, keep):
        sys.exit(f"totals differ, nothing counts: {', '.join(differing)}")


def _keep(found: dict[str, Any]) -> None:
    page.keep(found, list(suite.MEASUREMENTS))


def _forget(found: dict[str, Any]) -> None:
    """Leave the page as it is: what was found was shown."""


if __name__ == "__main__":
    main()
