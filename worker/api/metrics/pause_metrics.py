"""Whom nobody asks just now, as workers have agreed on it in Redis."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Connection

from storage.connections import connections
from worker.findings.provider_names import DIRECTORY, order_of
from worker.infrastructure.outbound_limits.pauses import CONNECTION, PROVIDER, Pause
from worker.infrastructure.outbound_limits.standing_pauses import pauses_of
from worker.infrastructure.settings import Settings


class PauseMetrics:
    """Looks at pauses; without a Redis, or one that answers, there are none to tell."""

    def __init__(self, settings: Settings) -> None:
        self._providers = [name for name in order_of(settings) if name != DIRECTORY]
        self._url = settings.limits_url

    def look(self) -> "Looked":
        """Ask Redis, while no transaction is open."""
        if self._url is None:
            return None
        providers, crms = (pauses_of(self._url, one) for one in (PROVIDER, CONNECTION))
        return None if providers is None or crms is None else (providers, crms)

    def families(
        self, looked: "Looked", connection: Connection
    ) -> Iterator[GaugeMetricFamily]:
        """Providers by name; connections, of which there are many, by connector."""
        if looked is None:
            return
        providers, crms = looked
        shown = GaugeMetricFamily(
            "holdfast_provider_paused",
            "Whether nobody asks a provider just now.",
            labels=["provider"],
        )
        for name in self._providers:
            shown.add_metric([name], float(name in providers))
        yield shown
        yield _by_connector(connection, crms)


Looked = tuple[dict[str, Pause], dict[str, Pause]] | None


def _by_connector(
    connection: Connection, paused: dict[str, Pause]
) -> GaugeMetricFamily:
    of = connections.connectors_of(connection, list(paused)) if paused else {}
    shown = GaugeMetricFamily(
        "holdfast_connections_paused",
        "Connections whose CRM nobody asks just now.",
        labels=["connector", "reason"],
    )
    counts = Counter(
        (of[id_], pause.reason) for id_, pause in paused.items() if id_ in of
    )
    for labels, count in sorted(counts.items()):
        shown.add_metric(labels, count)
    return shown
