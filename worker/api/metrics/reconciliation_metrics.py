"""The last reconciliation of all licenses: how old, and what it found."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from storage.finance.reconciliation.runs import LastVerdict


def families(last: LastVerdict | None) -> Iterator[Metric]:
    """Its gauges; none before the first has ended."""
    if last is None:
        return
    run = last.run
    for name, text, value in (
        (
            "age_seconds",
            "How long ago all licenses were last reconciled.",
            last.age_s,
        ),
        ("differences", "Differences that the last one found.", run.differences),
        ("charges", "Charges that the last one looked at.", run.charges),
        (
            "not_recomputable",
            "Charges that the last one could not compute again.",
            run.not_recomputable,
        ),
    ):
        yield GaugeMetricFamily(f"holdfast_reconciliation_{name}", text, value=value)
