"""Dashboard and alerts: the real programs take them, and each fires when it should."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families as families

from storage.jobs import heartbeats
from storage.operations import chore_runs
from tests.support.promtool import promtool
from worker.finance.chain.sealer import seal
from worker.finance.chain.verifier import verify
from worker.finance.reconciliation import runners
from worker.infrastructure.telemetry.counters import COUNTERS
from worker.infrastructure.telemetry.metric_families import FAMILIES
from worker.jobs.sweeper import SWEEP
from worker.operations.counter_flush import CounterFlush

_FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
_ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((_FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
_DASHBOARD: dict[str, Any] = json.loads((_FOLDER / "dashboard.json").read_text())

_FAILED = "holdfast_chunk_failures_total"
_PAUSED = "holdfast_connections_paused"
_WELL = {
    'holdfast_database_up{instance="a"}': "1x60",
    'holdfast_database_up{instance="b"}': "1x60",
    'holdfast_processes{role="worker",instance="a"}': "2x60",
    'holdfast_processes{role="dispatcher",instance="a"}': "1x60",
    'holdfast_sweep_age_seconds{instance="a"}': "5x60",
    'holdfast_oldest_chunk_wait_seconds{instance="a"}': "20x60",
    'holdfast_idle_job_seconds{instance="a"}': "30x60",
    'holdfast_leases_expired_total{what="chunk",instance="a"}': "5x60",
    'holdfast_leases_expired_total{what="entry",instance="a"}': "0x60",
    'holdfast_chunk_seconds_count{kind="export",instance="a"}': "0+100x60",
    f'{_FAILED}{{kind="export",reason="retry",instance="a"}}': "0+1x60",
    'holdfast_fenced_writes_total{what="chunk",instance="a"}': "3x60",
    'holdfast_messages_sent_again_total{queue="chunks",instance="a"}': "7x60",
    'holdfast_audit_violations{check="x",instance="a"}': "0x60",
    'holdfast_audit_late{instance="a"}': "0x60",
    'holdfast_chain_breaks{instance="a"}': "0x60",
    'holdfast_reconciliation_differences{instance="a"}': "0x60",
    'holdfast_reconciliation_age_seconds{instance="a"}': "600+60x60",
    'holdfast_chain_sealed_age_seconds{instance="a"}': "60x60",
    'holdfast_chain_held_back_seconds{instance="a"}': "1x60",
    'holdfast_clock_held_back{instance="a"}': "0x60",
    'holdfast_oldest_outbox_wait_seconds{instance="a"}': "1x60",
    # For a few minutes, which is what a pause is for.
    'holdfast_provider_paused{provider="hunter",instance="a"}': "0x10 1x5 0x44",
    f'{_PAUSED}{{connector="hubspot",reason="rate_limited",instance="a"}}': "1x60",
}
"""What two processes of an API tell, a number a minute, where nothing is wrong."""

_WRONG: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "HoldfastMetricsAbsent": (dict.fromkeys(_WELL, "_x60"), {}, ""),
    "HoldfastDatabaseDown": (
        {'holdfast_database_up{instance="b"}': "1x30 0x30"},
        {},
        "",
    ),
    "HoldfastNoWorker": (
        {'holdfast_processes{role="worker",instance="a"}': "1x30 0x30"},
        {},
        "",
    ),
    "HoldfastDispatcherSilent": (
        {'holdfast_sweep_age_seconds{instance="a"}': "5x30 90+60x30"},
        {},
        "",
    ),
    "HoldfastChunkWaitsLong": (
        {'holdfast_oldest_chunk_wait_seconds{instance="a"}': "720x60"},
        {},
        "12m 0s",
    ),
    "HoldfastJobWithoutProgress": (
        {'holdfast_idle_job_seconds{instance="a"}': "660x60"},
        {},
        "11m 0s",
    ),
    "HoldfastLeasesExpire": (
        {'holdfast_leases_expired_total{what="chunk",instance="a"}': "0+2x60"},
        {"what": "chunk"},
        "",
    ),
    "HoldfastFencedWrites": (
        {'holdfast_fenced_writes_total{what="chunk",instance="a"}': "0+1x60"},
        {"what": "chunk"},
        "",
    ),
    "HoldfastMessagesLost": (
        {'holdfast_messages_sent_again_total{queue="chunks",instance="a"}': "0+1x60"},
        {},
        "",
    ),
    "HoldfastAuditViolated": (
        {'holdfast_audit_violations{check="x",instance="a"}': "0x30 1x30"},
        {},
        "",
    ),
    "HoldfastAuditLate": ({'holdfast_audit_late{instance="a"}': "1x60"}, {}, ""),
    "HoldfastChainBroken": (
        {'holdfast_chain_breaks{instance="a"}': "0x30 1x30"},
        {},
        "",
    ),
    "HoldfastReconciliationDiffers": (
        {'holdfast_reconciliation_differences{instance="a"}': "0x30 1x30"},
        {},
        "",
    ),
    "HoldfastReconciliationLate": (
        {'holdfast_reconciliation_age_seconds{instance="a"}': "172000+60x60"},
        {},
        "",
    ),
    "HoldfastChainNotSealed": (
        {'holdfast_chain_sealed_age_seconds{instance="a"}': "0+60x60"},
        {},
        "",
    ),
    "HoldfastChainHeldBack": (
        {'holdfast_chain_held_back_seconds{instance="a"}': "0+60x60"},
        {},
        "",
    ),
    "HoldfastClockHeldBack": (
        {'holdfast_clock_held_back{instance="a"}': "1x60"},
        {},
        "",
    ),
    "HoldfastOutboxLags": (
        {'holdfast_oldest_outbox_wait_seconds{instance="a"}': "360x60"},
        {},
        "6m 0s",
    ),
    "HoldfastProviderPaused": (
        {'holdfast_provider_paused{provider="hunter",instance="a"}': "1x60"},
        {"provider": "hunter"},
        "",
    ),
    "HoldfastConnectionsPaused": (
        {f'{_PAUSED}{{connector="hubspot",reason="down",instance="a"}}': "3x60"},
        {"connector": "hubspot"},
        "3",
    ),
    "HoldfastChunksFail": (
        {
            f'{_FAILED}{{kind="export",reason="retry",instance="a"}}': "0+50x60",
        },
        {},
        "",
    ),
}
"""What has each alert fire, with its labels and its value."""

_SOON = ("HoldfastDatabaseDown", "HoldfastNoWorker", "HoldfastDispatcherSilent")


def _words(alert: str, labels: dict[str, str], value: str) -> dict[str, str]:
    """The annotations of an alert as they are sent."""
    words = {}
    for name, text in _ALERTS[alert]["annotations"].items():
        said = re.sub(r"\{\{ \$value( \| humanizeDuration)? \}\}", value, text)
        for label, of in labels.items():
            said = said.replace(f"{{{{ $labels.{label} }}}}", of)
        words[name] = said
    return words


def _fires(alert: str) -> dict[str, Any]:
    changed, labels, value = _WRONG[alert]
    fired = {
        "exp_labels": {"severity": _ALERTS[alert]["labels"]["severity"], **labels},
        "exp_annotations": _words(alert, labels, value),
    }
    at = "35m" if alert in _SOON else "50m"
    return {
        "eval_time": at,
        "alertname": alert,
        "exp_alerts": [fired],
    } | {"series": _WELL | changed}


def _test_file(
    folder: Path, series: dict[str, str], rules: list[dict[str, Any]]
) -> Path:
    path = folder / "test.yml"
    told = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": told, "alert_rule_test": rules}
    given = {"rule_files": [str(_FOLDER / "alerts.yml")], "tests": [test]}
    path.write_text(yaml.safe_dump(given))
    return path


@pytest.mark.slow
def test_prometheus_takes_the_alerts():
    found = promtool("check", "rules", str(_FOLDER / "alerts.yml"))
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("alert", _ALERTS)
def test_an_alert_fires_where_something_is_wrong(alert, tmp_path):
    rule = _fires(alert)
    found = promtool(
        "test", "rules", str(_test_file(tmp_path, rule.pop("series"), [rule]))
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
def test_no_alert_fires_where_nothing_is_wrong(tmp_path):
    rules = [
        {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}
        for alert in _ALERTS
        for minute in (16, 50)
    ]
    found = promtool("test", "rules", str(_test_file(tmp_path, _WELL, rules)))
    assert found.returncode == 0, found.stdout + found.stderr


def _charts() -> Iterator[str]:
    """The expressions of the dashboard."""
    for panel in _DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m")


@pytest.mark.slow
def test_prometheus_takes_each_expression_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"chart:{number}", "expr": expression}
        for number, expression in enumerate(_charts())
    ]
    path = tmp_path / "charts.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "charts", "rules": rules}]}))
    found = promtool("check", "rules", str(path))
    assert found.returncode == 0, found.stderr
    assert len(rules) > 20


def _lost(given: object, read: object, place: str = "") -> Iterator[str]:
    """What was given and is not there any more; what was added counts for nothing."""
    match given, read:
        case dict(), dict():
            for name in given:
                yield from _lost(given[name], read.get(name), f"{place}.{name}")
        case list(), list() if len(given) == len(read):
            for number, (one, other) in enumerate(zip(given, read, strict=True)):
                yield from _lost(one, other, f"{place}[{number}]")
        case _ if given != read:
            yield f"{place}: {given} is {read}"


def test_grafana_knows_each_word_of_the_dashboard():
    """Grafana's own library passes over what it does not know."""
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(_DASHBOARD)))
    assert list(_lost(_DASHBOARD, read)) == []


def test_no_two_panels_of_the_dashboard_lie_on_each_other():
    ids: set[int] = set()
    places: set[tuple[int, int]] = set()
    for panel in _DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (column, line)
            for column in range(at["x"], at["x"] + at["w"])
            for line in range(at["y"], at["y"] + at["h"])
        }
        assert panel["id"] not in ids
        assert not cells & places
        assert at["x"] + at["w"] <= 24
        ids.add(panel["id"])
        places |= cells


@pytest.fixture
def told(api) -> dict[str, set[str]]:
    """What /metrics tells once all has happened: names with their labels."""
    COUNTERS.take()
    for family in FAMILIES:
        if family.buckets_s:
            COUNTERS.observe(family, 1, *family.labels)
        else:
            COUNTERS.add(family, *family.labels)
    CounterFlush(api.deps.database).close()
    api.license()
    api.admin.post(
        "/v1/jobs",
        json={
            "kind": "export",
            "license": "acme",
            "user": "u",
            "records": [{"company": {"id": "c"}}],
        },
    )
    seal(api.deps)
    verify(api.deps)
    runners.run_now(api.deps, "open", None)
    with api.deps.database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dropped_messages VALUES ('chunks', 'stale', 1)"
        )
        chore_runs.note(connection, SWEEP)
        about = heartbeats.About(rss_bytes=1 << 20)
        heartbeats.report(connection, "w", "worker", about=about)
        connection.exec_driver_sql("INSERT INTO outbox (topic, key) VALUES ('x', 'y')")
    found: dict[str, set[str]] = {}
    for one in families(api.client(None).get("/metrics").text):
        for sample in one.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    # Where a Redis is named.
    return found | {
        "holdfast_provider_paused": {"provider"},
        _PAUSED: {"connector", "reason"},
    }


def test_alerts_and_dashboard_name_only_what_is_told(told):
    expressions = [*_charts(), *(rule["expr"] for rule in _ALERTS.values())]
    for expression in expressions:
        names = set(re.findall(r"\bholdfast_\w+", expression))
        assert names
        assert names <= told.keys(), expression
        labels = set.union(*(told[name] for name in names)) | {"instance"}
        by = re.findall(r"by \(([^)]*)\)", expression)
        used = {label.strip() for some in by for label in some.split(",")}
        used |= set(re.findall(r"(\w+)!?=~?\"", expression))
        assert used <= labels, expression
