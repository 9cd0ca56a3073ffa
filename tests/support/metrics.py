"""What /metrics says, as a scraper reads it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families as families


def samples(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """The samples by name and labels' values."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("holdfast_"), *sample.labels.values()): sample.value
        for family in families(answer.text)
        for sample in family.samples
    }
