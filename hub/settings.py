"""Settings: environment `HUB_*`, or a TOML or YAML file named by `HUB_CONFIG`; the environment wins.

Every process of the hub reads the same ones. Secrets are `SecretStr`: they show as `**********`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
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


class Limit(BaseModel):
    """How much one agency may send to one gateway process."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    events: float = Field(default=2_000, gt=0, description="events a second, in the long run")
    events_burst: float = Field(default=20_000, gt=0, description="events at once")
    mib: float = Field(default=8, gt=0, description="MiB a second, in the long run")
    mib_burst: float = Field(default=64, gt=0, description="MiB at once")
    day: int = Field(default=5_000_000, ge=0, description="events a day, by the calendar in Baku")
    questions: float = Field(default=200, gt=0, description="questions a second, in the long run")
    questions_burst: float = Field(default=2_000, gt=0, description="questions at once")


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
    partitions: int | None = Field(
        None,
        ge=1,
        le=256,
        description="of every topic of a lane, when they are made: 4 by default; never changed later",
    )
    replication: int | None = Field(
        None, ge=1, le=7, description="copies of each partition; default: 3 where the broker has as many nodes, else 1"
    )
    person_secret: SecretStr | None = Field(None, description="keys the pseudonyms; 32 characters or more")
    schemas: Path | None = Field(None, description="folder of schemas and catalogue; default: the hub's own")
    metrics_host: str = Field("127.0.0.1", description="where /metrics, /healthz, /readyz are served")
    metrics_port: int = Field(0, description="of /metrics, /healthz, /readyz; 0: a free one")
    gateway_host: str = Field("127.0.0.1", description="where `hub gateway` listens")
    gateway_port: int = Field(8000, ge=0, le=65535, description="of `hub gateway`; 0: a free one")
    gateway_body_mib: float = Field(4, gt=0, le=64, description="MiB that the body of one request may have")
    gateway_batch_events: int = Field(
        1_000, ge=1, le=100_000, description="events that one request may have, with 100 values of JSON on average"
    )
    gateway_body_seconds: float = Field(20, gt=0, description="for a body to arrive; then 408")
    gateway_ack_seconds: float = Field(10, gt=0, description="for the broker to take the events; then 503")
    gateway_waiting_mib: float = Field(
        64, gt=0, description="MiB of all requests that may wait at once, as text and parsed; beyond: 503"
    )
    gateway_requests: int = Field(
        256,
        ge=1,
        description="requests at once, one agency at most half; beyond: 503, 429. What waits is counted apart",
    )
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
    tokens: Path | None = Field(None, description="file of the agencies' tokens; default: tokens.json in HUB_DATA_DIR")
    tls_cert: Path | None = Field(None, description="certificate chain of the HTTP doors, PEM; default: no TLS")
    tls_key: Path | None = Field(None, description="key of that certificate")
    tls_client_ca: Path | None = Field(
        None, description="who signs agencies' certificates; default: none are asked for"
    )
    tls_clients: Literal["optional", "required"] = Field(
        "optional", description="required: nobody is let in without a client certificate, health checks neither"
    )
    client_certificates: dict[str, str] = Field(
        default_factory=dict,
        description='which agency a certificate is: {"sha256:<hex>": "mod", "CN=<name>": "mod"}; "": refused',
    )
    limit: Limit = Field(default_factory=Limit, description="of each agency at one gateway, as `Limit` names them")
    limits: dict[str, dict[str, float]] = Field(
        default_factory=dict, description='what differs for some agencies: {"mod": {"events": 5000}}'
    )
    instance: str | None = Field(
        None, description="names this process among its kind, in the audit; default: the host's name"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    batch_records: int = Field(4000, ge=1, le=20_000, description="records of one transaction at the most")
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

    def tokens_file(self) -> Path:
        """Where the agencies' tokens are."""
        return self.tokens or self.data_dir / "tokens.json"

    def own_limits(self) -> dict[str, Limit]:
        """Each named agency's limit: the general one, but for what the settings say of it. Raises `ConfigError`."""
        try:
            return {
                agency: Limit.model_validate(self.limit.model_dump() | said) for agency, said in self.limits.items()
            }
        except ValidationError as error:
            wrong = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"HUB_LIMITS: {wrong}") from None

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
