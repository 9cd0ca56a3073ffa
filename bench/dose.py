"""The dose for CI: small sizes, ratios of CPU and of memory alone, and what they were.

    python -m bench.dose [--keep]

A ratio fails where it is worse than the kept one by more than the slack, and is so
again when it is measured once more: what else the machine does must not break it.
`--keep` writes what was found as the new baseline, with the commit that it is of.
"""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import suite
from bench.installations.builds import this_build
from bench.measurements.session import Session
from bench.report.figures import Figure, say
from bench.report.page import rounded
from bench.report.sizes import Sizes

BASELINE = Path(__file__).with_name("baseline.json")
SIZES = Sizes(
    rounds=3,
    starts=1,
    records=20_000,
    read=20_000,
    push=4_000,
    jobs=100,
    batches=12,
    idle_s=10,
)
PARTS = (
    *("start", "export", "settlement", "quotes"),
    *("small", "push", "workbooks", "read-formats"),
)
"""The measurements of which the dose holds figures."""


def is_worse(figure: Figure, kept: float, slack: float) -> bool:
    """Whether a figure is worse than the kept one by more than the slack."""
    if figure.more_is_better:
        return figure.median < kept / slack
    return figure.median > kept * slack


def worse(found: Sequence[Figure], baseline: Mapping[str, Any]) -> list[str]:
    """The figures that are clearly worse than their baseline, in words."""
    slack, ratios = baseline["slack"], baseline["ratios"]
    return [
        f"{one.held}: {one.median:.3g}, and {ratios[one.held]:.3g} is kept "
        f"(slack {slack:g}): {one.what}"
        for one in found
        if one.held in ratios and is_worse(one, ratios[one.held], slack)
    ]


def _measured(name: str, session: Session) -> list[Figure]:
    """The figures of a measurement that are held."""
    section = suite.MEASUREMENTS[name](session)
    suite.show(section)
    return [one for one in section.figures if one.held]


def _run(baseline: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """All figures, and what is worse also when it is measured again."""
    ratios: dict[str, float] = {}
    bad: list[str] = []
    with Session(sizes=SIZES, persons=SIZES.records, against=None) as session:
        for name in PARTS:
            print(f"== {name}", flush=True)
            found = _measured(name, session)
            if worse(found, baseline):
                say("worse than the baseline: once more")
                found = _measured(name, session)
                bad += worse(found, baseline)
            ratios |= {one.held: one.median for one in found}
    return ratios, bad


def main() -> None:
    """Measure; exit with 1 where something is clearly worse than it was."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    baseline = json.loads(BASELINE.read_text())
    keeping = sys.argv[1:] == ["--keep"]
    ratios, bad = _run(baseline | {"ratios": {}} if keeping else baseline)
    if keeping:
        kept = {"commit": this_build().commit, "ratios": rounded(ratios)}
        BASELINE.write_text(json.dumps(baseline | kept, indent=2) + "\n")
        return
    for what, value in ratios.items():
        say(f"{value:8.3g}  {baseline['ratios'].get(what, 0):8.3g} kept  {what}")
    if bad:
        sys.exit("clearly worse than the baseline:\n" + "\n".join(bad))


if __name__ == "__main__":
    main()
