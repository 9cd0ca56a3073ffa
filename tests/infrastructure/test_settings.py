"""Settings: from the environment or by name, of their types, within their bounds."""

from pathlib import Path

import pytest

from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.environment.settings_reader import WrongSettings
from worker.infrastructure.settings import Settings

KEY = "a key of twenty characters"


def _problems(**given: object) -> dict[str, str]:
    with pytest.raises(WrongSettings) as refused:
        Settings(**given)
    return refused.value.problems


def test_the_environment_sets_what_is_not_given_by_name(monkeypatch):
    monkeypatch.setenv("HOLDFAST_RATE_A_MINUTE", "7")
    monkeypatch.setenv("HOLDFAST_RECORDS_MAX", "9")
    monkeypatch.setenv("HOLDFAST_OF_ANOTHER_VERSION", "1")
    settings = Settings(records_max=11)
    assert (settings.rate_a_minute, settings.records_max) == (7, 11)
    assert settings.model_fields_set == {"rate_a_minute", "records_max"}
    assert settings.chunk_records == 1000


def test_variables_are_read_whatever_their_case(monkeypatch):
    monkeypatch.setenv("holdfast_providers", "directory,hunter")
    assert Settings().providers == "directory,hunter"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("home", "/a/home", Path("/a/home")),
        ("lease_s", "0.5", 0.5),
        ("lease_s", "90", 90.0),
        ("records_max", "10", 10),
        ("webhook_allow_private", "true", True),
        ("webhook_allow_private", "0", False),
        ("database_url", "", ""),
        ("broker_url", "", ""),
        ("secret_keys", KEY, Secret(KEY)),
        ("clock_offset_s", "-3e9", -3e9),
    ],
)
def test_a_text_becomes_what_the_setting_holds(monkeypatch, name, text, value):
    monkeypatch.setenv(f"HOLDFAST_{name.upper()}", text)
    held = getattr(Settings(), name)
    assert held == value
    assert type(held) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("lease_s", "soon", "'soon' must be a number, such as 90"),
        ("lease_s", "nan", "'nan' must be a number, such as 90"),
        ("lease_s", "0", "'0' must be greater than 0, such as 90"),
        ("records_max", "1.5", "'1.5' must be a whole number, such as 1000000"),
        ("records_max", "0", "'0' must be at least 1, such as 1000000"),
        ("push_rejections_share", "1.1", "'1.1' must be at most 1, such as 0.05"),
        ("webhook_allow_private", "maybe", "'maybe' must be true or false"),
        ("log_format", "xml", "'xml' must be one of text, json, such as text"),
        (
            "artifacts_url",
            "/a/folder",
            "'/a/folder' must begin with file:// or s3://, such as s3://bucket/prefix",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_value_reason_and_example(
    monkeypatch, name, text, why
):
    monkeypatch.setenv(f"HOLDFAST_{name.upper()}", text)
    assert _problems()[f"HOLDFAST_{name.upper()}"].startswith(why)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bootstrap_key", "hush"),
        ("operator_webhook_secret", "hush"),
        ("database_url", "mysql://us:hush@host/db"),
        ("broker_url", "kafka://us:hush@host"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(monkeypatch, name, text):
    monkeypatch.setenv(f"HOLDFAST_{name.upper()}", text)
    why = _problems()[f"HOLDFAST_{name.upper()}"]
    assert "must" in why
    assert "hush" not in why


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"lease_s": 900}, "visibility_timeout_s"),
        ({"hand_back_s": 120}, "hand_back_s"),
        ({"operator_webhook_url": "https://a.example"}, "operator_webhook_url"),
        ({"chain_pin_url": "https://a.example"}, "chain_pin_url"),
        ({"bootstrap_person": "ada"}, "bootstrap_person"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_and_both_are_named(given, named):
    why = _problems(**given)[f"HOLDFAST_{named.upper()}"]
    assert "HOLDFAST_" in why


def test_a_variable_that_is_no_setting_is_told_with_the_nearest_that_is(monkeypatch):
    monkeypatch.setenv("HOLDFAST_LEASE", "4")
    monkeypatch.setenv("HOLDFAST_QQQQQQ", "4")
    monkeypatch.setenv("HOLDFAST_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HOLDFAST_PORT_8000_TCP_ADDR", "10.0.0.1")
    assert Settings().unknown == {
        "HOLDFAST_LEASE": "HOLDFAST_LEASE_S",
        "HOLDFAST_QQQQQQ": None,
    }


def test_all_that_is_wrong_is_named_at_once():
    assert set(_problems(lease_s=-1, records_max="many")) == {
        "HOLDFAST_LEASE_S",
        "HOLDFAST_RECORDS_MAX",
    }


def test_a_setting_that_there_is_not_cannot_be_given():
    with pytest.raises(TypeError, match="colour"):
        Settings(colour="red")


def test_settings_never_change_and_a_copy_may_differ():
    settings = Settings(records_max=5)
    with pytest.raises(AttributeError):
        settings.records_max = 6
    copy = settings.model_copy(update={"lease_s": 3})
    assert (copy.records_max, copy.lease_s, settings.lease_s) == (5, 3, 90)
    assert copy.model_fields_set == {"records_max", "lease_s"}
    assert copy != settings == Settings(records_max=5)


def test_secrets_are_not_shown():
    settings = Settings(secret_keys=KEY, bootstrap_key=KEY)
    assert KEY not in f"{settings} {vars(settings)}"
