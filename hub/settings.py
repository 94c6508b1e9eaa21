"""Settings: environment `HUB_*`, or a TOML or YAML file named by `HUB_CONFIG`; the environment wins.

Every process of the hub reads the same ones. Secrets are `SecretStr`: they show as `**********`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from hub.errors import ConfigError
from hub.kafka.broker import Kind
from hub.kafka.connection import Connection

SECRET_MIN_CHARACTERS = 32


class Settings(BaseSettings):
    """What one process is told. Where each default comes from: CONTRACT, "Topics" and "Broker"."""

    model_config = SettingsConfigDict(env_prefix="HUB_", extra="forbid", hide_input_in_errors=True)

    name: str = Field("zefer", description="names this hub towards the broker: groups, transactional ids")
    data_dir: Path = Field(Path("data"), description="all that a run on one machine keeps")
    broker: Kind | None = Field(None, description="embedded, apache or external")
    bootstrap_servers: str | None = Field(None, description="host:port[,host:port…] of an external broker")
    kafka_port: int | None = Field(None, description="port of a broker on this machine; default: a free one")
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str | None = Field(None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_user: str | None = Field(None, description="who the hub is towards the broker")
    sasl_password: SecretStr | None = Field(None, description="its password")
    ssl_ca: Path | None = Field(None, description="certificates to trust; default: the machine's own")
    ssl_cert: Path | None = Field(None, description="client certificate")
    ssl_key: Path | None = Field(None, description="key of the client certificate")
    partitions: int = Field(4, ge=1, le=256, description="of every topic of a lane; never changed later")
    replication: int = Field(1, ge=1, le=7, description="copies of each partition; 3 in production")
    person_secret: SecretStr | None = Field(None, description="keys the pseudonyms; 32 characters or more")
    schemas: Path | None = Field(None, description="folder of schemas and catalogue; default: the hub's own")
    metrics_host: str = Field("127.0.0.1", description="where /metrics, /healthz, /readyz are served")
    metrics_port: int = Field(0, description="of /metrics, /healthz, /readyz; 0: a free one")
    registry_host: str = Field("127.0.0.1", description="where `hub registry` listens")
    registry_port: int = Field(8081, ge=0, le=65535, description="of `hub registry`; 0: a free one")
    registry_access: Literal["open", "closed"] = Field(
        "closed", description="open: anyone reads, and registers what is not the hub's; for one machine and tests"
    )
    registry_operators: list[str] = Field(
        default_factory=list, description="agencies that may delete schemas, set levels and modes: a JSON list of codes"
    )
    schema_registry_url: str | None = Field(
        None, description="another registry that keeps the schemas, as Confluent's; default: the hub's own `_schemas`"
    )
    schema_registry_auth: SecretStr | None = Field(
        None, description="towards that registry: user:password, or a bearer token"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    batch_records: int = Field(1000, ge=1, le=20_000, description="records of one transaction at the most")
    refusals_in_a_row: int = Field(
        10_000, ge=1, description="after so many of an agency, counted by each number of the gate, it is paused"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, *_file(settings_cls))

    def connection(self) -> Connection:
        """The external broker's address and security. Raises `ConfigError` where one is missing."""
        if not self.bootstrap_servers:
            raise ConfigError("no broker: set HUB_BOOTSTRAP_SERVERS to host:port[,host:port…]")
        return Connection(
            servers=Connection.plain(self.bootstrap_servers).servers,
            protocol=self.security_protocol,  # type: ignore[arg-type]  # Connection checks it
            sasl_mechanism=self.sasl_mechanism,  # type: ignore[arg-type]
            sasl_user=self.sasl_user,
            sasl_password=self.sasl_password.get_secret_value() if self.sasl_password else None,
            ssl_ca=self.ssl_ca,
            ssl_cert=self.ssl_cert,
            ssl_key=self.ssl_key,
            schema_registry=self.schema_registry_url,
            schema_registry_auth=self.registry_auth(),
        )

    def registry_auth(self) -> str | None:
        """What proves the hub to another registry."""
        return self.schema_registry_auth.get_secret_value() if self.schema_registry_auth else None

    def secret(self) -> bytes:
        """The key of the pseudonyms. Raises `ConfigError` where it is missing or short."""
        if self.person_secret is None:
            raise ConfigError(
                "HUB_PERSON_SECRET is not set: it keys the pseudonyms of persons. "
                "Make one with `python -c 'import secrets; print(secrets.token_hex(32))'` and keep it for ever"
            )
        text = self.person_secret.get_secret_value()
        if len(text) < SECRET_MIN_CHARACTERS:
            raise ConfigError(f"HUB_PERSON_SECRET has {len(text)} characters, expected at least 32")
        return text.encode()


def load_settings(**given: Any) -> Settings:
    """Settings from file and environment, `given` (command-line options, None = not given) first.

    Raises `ConfigError` that names each setting that is wrong, without its value.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(f"HUB_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigError(wrong) from None


def machine_secret(data_dir: Path) -> str:
    """The secret of a hub on one machine: made on first use, kept in the data folder for its owner alone."""
    path = data_dir / "person.secret"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text().strip()


def _file(settings_cls: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
    name = os.environ.get("HUB_CONFIG")
    if not name:
        return ()
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"HUB_CONFIG names {name}, which is no file")
    if path.suffix == ".toml":
        return (TomlConfigSettingsSource(settings_cls, path),)
    return (YamlConfigSettingsSource(settings_cls, path),)
