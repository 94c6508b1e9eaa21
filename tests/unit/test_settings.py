"""Settings come from the environment or a file, the environment first; what is wrong is named without its value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.kafka.broker import Kind
from hub.settings import Settings, load_settings, machine_secret

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests gets in."""
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)


def test_without_any_setting_the_defaults_are_those_of_one_machine() -> None:
    found = load_settings()
    assert (found.name, found.partitions, found.replication, found.broker) == ("zefer", None, None, None)
    assert found.metrics_host == "127.0.0.1", "servers bind to loopback unless told"


@pytest.mark.parametrize(
    ("suffix", "text"),
    [("toml", 'name = "of-the-file"\npartitions = 12\n'), ("yaml", "name: of-the-file\npartitions: 12\n")],
)
def test_a_file_is_read_and_the_environment_wins(
    suffix: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"hub.{suffix}"
    path.write_text(text)
    monkeypatch.setenv("HUB_CONFIG", str(path))
    assert (load_settings().name, load_settings().partitions) == ("of-the-file", 12)
    monkeypatch.setenv("HUB_NAME", "of-the-environment")
    assert (load_settings().name, load_settings().partitions) == ("of-the-environment", 12)


def test_an_option_of_the_command_line_wins_over_both_unless_it_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HUB_BROKER", "apache")
    monkeypatch.setenv("HUB_DATA_DIR", "somewhere")
    found = load_settings(broker=Kind.EMBEDDED, data_dir=None)
    assert (found.broker, found.data_dir) == (Kind.EMBEDDED, Path("somewhere"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_PARTITIONS", "zero-canary"),
        ("HUB_PARTITIONS", "0"),
        ("HUB_BROKER", "canary"),
        ("HUB_BATCH_RECORDS", "-1"),
        ("HUB_METRICS_PORT", "canary"),
        ("HUB_REPLICATION", "99"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as wrong:
        load_settings()
    assert str(wrong.value).startswith(f"{name}: ") and value not in str(wrong.value).split(": ", 1)[1].split()
    assert "canary" not in str(wrong.value)
    assert wrong.value.__cause__ is None, "pydantic's own error may quote"


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PARTITIONS", "none")
    monkeypatch.setenv("HUB_BROKER", "none")
    with pytest.raises(ConfigError, match=r"HUB_BROKER.*; HUB_PARTITIONS"):
        load_settings()


def test_a_setting_of_the_file_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.toml"
    path.write_text('partitons = "canary"\n')
    monkeypatch.setenv("HUB_CONFIG", str(path))
    with pytest.raises(ConfigError, match="HUB_PARTITONS") as wrong:
        load_settings()
    assert "canary" not in str(wrong.value)


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_CONFIG", "/nowhere/hub.toml")
    with pytest.raises(ConfigError, match="/nowhere/hub"):
        load_settings()


def test_secrets_do_not_show() -> None:
    found = Settings(person_secret=SECRET, sasl_password="hush-hush")
    assert SECRET not in repr(found) + str(found.model_dump()) and "hush" not in repr(found)


def test_the_persons_secret_must_be_there_and_long() -> None:
    with pytest.raises(ConfigError, match="HUB_PERSON_SECRET is not set"):
        Settings().secret()
    with pytest.raises(ConfigError, match="has 9 characters, expected at least 32") as short:
        Settings(person_secret="too-short").secret()
    assert "too-short" not in str(short.value)
    assert Settings(person_secret=SECRET).secret() == SECRET.encode()


def test_the_secret_of_a_machine_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = machine_secret(folder)
    assert machine_secret(folder) == first and machine_secret(tmp_path / "other") != first
    assert len(first) == 64 and Settings(person_secret=first).secret() == first.encode()
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_external_broker_needs_its_address() -> None:
    with pytest.raises(ConfigError, match="HUB_BOOTSTRAP_SERVERS"):
        Settings().connection()
    found = Settings(
        bootstrap_servers="a:1, b:2",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_user="hub",
        sasl_password="hush-hush",
    ).connection()
    assert found.servers == ("a:1", "b:2") and found.sasl_password == "hush-hush"
    assert "hush-hush" not in repr(found)


def test_what_no_broker_could_accept_is_said_before_one_is_asked() -> None:
    with pytest.raises(ConfigError, match="SASL"):
        Settings(bootstrap_servers="a:1", security_protocol="SASL_SSL").connection()
    with pytest.raises(ConfigError, match="security protocol"):
        Settings(bootstrap_servers="a:1", security_protocol="TLS").connection()
