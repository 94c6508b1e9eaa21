"""The embedded broker: noida-db from PyPI, one native process, state in memory. For a demo, never for evidence."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from kafka.admin import ConfigResource

from hub.errors import ConfigError
from hub.kafka.address import LOOPBACK
from hub.kafka.child import Child, ChildBroker, Launch
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

NODE = "1"
INSTALL = "pip install '.[embedded]' in the hub's folder, or choose --broker apache"


class Embedded(ChildBroker):
    """Starts empty each time: its snapshots may be older than what it acknowledged, and a hub must not go on
    from half a truth."""

    name = "the embedded broker"
    durable = False

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        super().__init__(data_dir / "embedded", port)

    def start(self) -> Connection:
        connection = super().start()
        with admin(connection) as client:
            # As on Apache Kafka: no topic comes about by being named. It has no option for that at its start.
            client.alter_configs([ConfigResource("BROKER", NODE, {"auto.create.topics.enable": "false"})])
        return connection

    def open(self, port: int, lock: int) -> Child:
        program, data = _program(), self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        launch = Launch(
            name=self.name,
            command=[
                str(program),
                "start",
                "--only",
                "kafka",
                "--kafka-port",
                str(port),
                "--data-dir",
                str(data),
            ],
            address=f"{LOOPBACK}:{port}",
            log=self.folder / "broker.log",
            grace=0,  # on SIGTERM it writes all it holds as JSON, which can take minutes
            patience=20,
        )
        return Child(launch, lock)


def _program() -> Path:
    spec = importlib.util.find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise ConfigError(f"the embedded broker is not installed: {INSTALL}")
    program = Path(spec.origin).parent / "noida-db"
    if not program.is_file():
        raise ConfigError(f"the embedded broker has no program for this platform at {program}: {INSTALL}")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)  # not every installer keeps the bit
    return program
