"""Settings: from the environment, checked, and documented."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import Settings
from runtime.settings_page import describe_settings, settings_page

DOCS = Path(__file__).parents[2] / "docs"


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    described = describe_settings()
    assert len(described) == len(Settings.model_fields)
    assert all(one.variable.startswith(("FOOTFALL_", "TEMPORAL_", "SCYLLA_")) and one.meaning for one in described)


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text() == settings_page()


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_PORT", "8123")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    monkeypatch.setenv("FOOTFALL_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128")
    monkeypatch.setenv("FOOTFALL_POSTGRES_URL", "postgresql://me:hidden@db/shop")
    settings = Settings()
    assert (settings.port, settings.temporal_address) == (8123, "temporal:7233")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert "hidden" not in repr(settings)


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_REDIS_URL", "")
    monkeypatch.setenv("FOOTFALL_PORT", "")
    settings = Settings()
    assert (settings.redis_url, settings.port) == (None, 8000)


@pytest.mark.parametrize(
    ("value", "valid"), [("00:00", True), ("23:59", True), ("off", True), ("24:00", False), ("2", False)]
)
def test_a_daily_time_is_hours_and_minutes_or_off(monkeypatch: pytest.MonkeyPatch, value: str, valid: bool) -> None:
    monkeypatch.setenv("FOOTFALL_TRAIN_AT", value)
    if valid:
        assert Settings().train_at == value
    else:
        with pytest.raises(ValidationError, match="pattern"):
            Settings()


@pytest.mark.parametrize("value", ["0/2", "1/2", "15/16", "0/1"])
def test_a_shard_is_a_number_and_how_many_there_are(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FOOTFALL_SHARD", value)
    assert str(Settings().shard) == value


@pytest.mark.parametrize("value", ["2/2", "1", "-1/2", "0/0", "1/2/3", "one/2"])
def test_another_shard_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FOOTFALL_SHARD", value)
    with pytest.raises(ValidationError, match="a shard and how many there are"):
        Settings()


def test_a_topic_to_publish_to_needs_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_PUBLISH_TOPIC", "shop.interactions")
    with pytest.raises(ValidationError, match="FOOTFALL_KAFKA_BOOTSTRAP has to be set too"):
        Settings()
    monkeypatch.setenv("FOOTFALL_KAFKA_BOOTSTRAP", "localhost:9092")
    assert Settings().publish_topic == "shop.interactions"
    monkeypatch.setenv("FOOTFALL_PUBLISH_TOPIC", "shop interactions")
    with pytest.raises(ValidationError, match="pattern"):
        Settings()


def test_a_wrong_value_is_named_without_a_stack() -> None:
    environment = {**os.environ, "FOOTFALL_PORT": "abc", "FOOTFALL_TRUSTED_PROXIES": "10.0.0.300"}
    run = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "api"], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "FOOTFALL_PORT: " in run.stderr
    assert "FOOTFALL_TRUSTED_PROXIES: " in run.stderr
    assert "Traceback" not in run.stderr


def test_without_a_database_it_says_what_to_set(tmp_path: Path) -> None:
    environment = {**os.environ, "FOOTFALL_DATA_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "migrate"], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "FOOTFALL_POSTGRES_URL: not set" in run.stderr
