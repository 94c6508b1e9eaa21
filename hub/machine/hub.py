"""All processes of a hub on one machine, in the order in which they need each other."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hub import registry
from hub.admin.topics import apply, plan_for
from hub.catalogue import Catalogue
from hub.errors import ConfigError, Fatal
from hub.kafka.address import LOOPBACK, free_ports, opened
from hub.kafka.broker import Broker, Kind
from hub.kafka.brokers import open_broker
from hub.kafka.connection import Connection
from hub.machine.children import Child
from hub.machine.running import announce, withdraw
from hub.machine.trial import trial_token
from hub.settings import Settings, machine_secret

READY_SECONDS = 90.0
VIEWS = "views"
"""Folder of the gateways' views of the topics, below the data folder."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Hub:
    """A running hub: its broker and where that is, its processes by name, where it writes."""

    broker: Broker
    connection: Connection
    catalogue: Catalogue
    worker: Child
    delivery: Child
    registry: Child | None
    gateway: Child
    token: Path
    received: Path
    logs: Path

    def check(self) -> None:
        """Raises `Fatal` when something that the hub cannot do without is gone for good."""
        if self.broker.pid is not None and not _runs(self.broker.pid):
            raise Fatal(f"the broker's process {self.broker.pid} has ended; its log is below {self.logs.parent}")
        for child in (self.worker, self.delivery, self.registry, self.gateway):
            if child and child.failed:
                raise Fatal(f"{child.name}: {child.failed}; see {self.logs / child.name}.log")


@contextmanager
def running(settings: Settings, catalogue: Catalogue, say: Say, *, lasting: bool = False) -> Iterator[Hub]:
    """Start broker, topics, schemas, worker, delivery, registry and gateway; stop them in the opposite order.

    What agencies receive is written below `<data dir>/received/<agency>/`. `lasting`: for longer than some minutes.
    """
    if settings.tls_cert:
        raise ConfigError(
            "HUB_TLS_CERT is for doors that run by themselves: on one machine all stays on it, without TLS"
        )
    kind = settings.broker or Kind.EMBEDDED
    data_dir = settings.data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    external = settings.connection() if kind is Kind.EXTERNAL else None
    broker = open_broker(kind, data_dir, port=settings.kafka_port, connection=external, lasting=lasting)
    say(f"broker: starting ({kind})")
    with broker as connection:
        if not broker.durable:
            say("broker: not durable: what it keeps is gone with it (--broker apache keeps it)")
            shutil.rmtree(data_dir / VIEWS, ignore_errors=True)  # made of what an earlier one of these kept
        connection = replace(
            connection, schema_registry=settings.schema_registry_url, schema_registry_auth=settings.registry_auth()
        )
        prepare(connection, catalogue, settings, say)
        yield from _processes(settings, catalogue, broker, connection, say)


def prepare(connection: Connection, catalogue: Catalogue, settings: Settings, say: Say) -> None:
    """Topics and schemas as the catalogue wants them."""
    planned = plan_for(connection, catalogue, settings.partitions, settings.replication)
    say(f"topics: {len(planned.create)} to create, {len(planned.unchanged)} there")
    for note in apply(connection, planned):
        say(f"topics: {note}")
    schemas = registry.register(connection, catalogue.schemas())
    say(f"schemas: {len(schemas.subjects())} registered")


def _processes(
    settings: Settings, catalogue: Catalogue, broker: Broker, connection: Connection, say: Say
) -> Iterator[Hub]:
    data_dir = settings.data_dir.resolve()
    ports = free_ports(2)
    registry = _registry(settings, connection, data_dir)
    received = data_dir / "received"
    worker, delivery = _children(settings, connection, data_dir, received, ports)
    gateway = _gateway(settings, connection, data_dir)
    token = trial_token(settings, catalogue)
    try:
        say("worker: starting")
        worker.start()
        delivery.start()
        gateway.start()
        if registry:
            registry.start()
            registry.wait_ready(READY_SECONDS)
        for child in (worker, delivery, gateway):
            child.wait_ready(READY_SECONDS)
        children = (worker, delivery, gateway, *([registry] if registry else []))
        announce(data_dir, connection, {child.name: child.port for child in children})
        logs = data_dir / "logs"
        yield Hub(broker, connection, catalogue, worker, delivery, registry, gateway, token, received, logs)
    finally:
        withdraw(data_dir)
        say("stopping")
        gateway.stop()
        if registry:
            registry.stop()
        delivery.stop()
        worker.stop()


def _children(
    settings: Settings, connection: Connection, data_dir: Path, received: Path, ports: list[int]
) -> tuple[Child, Child]:
    environment = _environment(settings, connection, data_dir)
    logs = data_dir / "logs"
    worker = Child("worker", ["worker"], environment, logs, ports[0])
    sink = ["connector", "run", "file_drop", "--all", "--set", f"directory={received}"]
    return worker, Child("delivery", sink, environment, logs, ports[1])


def _registry(settings: Settings, connection: Connection, data_dir: Path) -> Child | None:
    """An open one, on this machine alone; none where another registry keeps the schemas."""
    if settings.schema_registry_url:
        return None
    command, door = ["registry", "--access", "open"], _preferred(settings.registry_port)
    return Child("registry", command, _environment(settings, connection, data_dir), data_dir / "logs", door)


def _gateway(settings: Settings, connection: Connection, data_dir: Path) -> Child:
    """On this machine alone; another port where that of the settings is taken."""
    door = _preferred(settings.gateway_port)
    return Child("gateway", ["gateway"], _environment(settings, connection, data_dir), data_dir / "logs", door)


def _preferred(port: int) -> socket.socket:
    """A socket on that port, or on a free one where another hub on this machine has it. From here on it is ours: were
    the child to open it, another hub could come in between, and its answers would be taken for the child's."""
    try:
        return opened(LOOPBACK, port)
    except OSError:
        return opened(LOOPBACK, 0)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _environment(settings: Settings, connection: Connection, data_dir: Path) -> dict[str, str]:
    """What a child is told; the rest it inherits."""
    given = settings.person_secret.get_secret_value() if settings.person_secret else machine_secret(data_dir)
    environment = {
        "HUB_NAME": settings.name,
        "HUB_BROKER": Kind.EXTERNAL.value,
        "HUB_BOOTSTRAP_SERVERS": connection.bootstrap,
        "HUB_DATA_DIR": str(data_dir),
        "HUB_PERSON_SECRET": given,
    }
    if settings.schemas:
        environment["HUB_SCHEMAS"] = str(settings.schemas.resolve())
    return environment
