"""What all processes have counted, as the families that it was declared by."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from storage.operations.counters import Sample
from worker.infrastructure.telemetry.counters import BUCKET, SUM, bound
from worker.infrastructure.telemetry.metric_families import FAMILIES, Family


def families(counted: Mapping[Sample, float]) -> Iterator[Metric]:
    """Each that was declared, also where nothing was counted yet."""
    for family in FAMILIES:
        yield (_histogram if family.buckets_s else _counter)(family, counted)


def _counter(family: Family, counted: Mapping[Sample, float]) -> Metric:
    shown = CounterMetricFamily(
        f"holdfast_{family.name}", family.text, labels=family.labels
    )
    for labels, number in _from_0(family, family.name, counted).items():
        shown.add_metric(labels, number)
    return shown


def _histogram(family: Family, counted: Mapping[Sample, float]) -> Metric:
    shown = HistogramMetricFamily(
        f"holdfast_{family.name}", family.text, labels=family.labels
    )
    within = _numbers(family.name + BUCKET, counted)
    for labels, total_s in _from_0(family, family.name + SUM, counted).items():
        shown.add_metric(labels, _cumulated(family, labels, within), total_s)
    return shown


def _cumulated(
    family: Family, labels: Sequence[str], within: Mapping[tuple[str, ...], float]
) -> list[tuple[str, float]]:
    """Each bucket with all that are below it, as Prometheus wants them."""
    buckets, below = [], 0.0
    for bound_s in (*family.buckets_s, inf):
        below += within.get((*labels, bound(bound_s)), 0)
        buckets.append((bound(bound_s), below))
    return buckets


def _from_0(
    family: Family, name: str, counted: Mapping[Sample, float]
) -> dict[tuple[str, ...], float]:
    """By labels; those that are known begin at 0."""
    return dict.fromkeys(family.known, 0.0) | _numbers(name, counted)


def _numbers(
    name: str, counted: Mapping[Sample, float]
) -> dict[tuple[str, ...], float]:
    return {labels: number for (of, labels), number in counted.items() if of == name}
