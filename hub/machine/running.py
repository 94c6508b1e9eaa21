"""Where the hub of a data folder runs now, for the commands of another terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.settings import Settings, machine_secret

FILE = "running.json"


def announce(data_dir: Path, connection: Connection, ports: Mapping[str, int]) -> None:
    """Say that the hub of this folder runs, and where."""
    text = json.dumps({"pid": os.getpid(), "bootstrap": connection.bootstrap, "ports": dict(ports)}, indent=2)
    (data_dir / FILE).write_text(text + "\n")


def withdraw(data_dir: Path) -> None:
    """Take that back."""
    (data_dir / FILE).unlink(missing_ok=True)


def connect(settings: Settings) -> Connection:
    """The broker that a command is meant to talk to: as set, else that of the hub running in the data folder.

    Raises `ConfigError` where neither is there.
    """
    if settings.bootstrap_servers:
        return settings.connection()
    found = _read(settings.data_dir)
    if found is None:
        raise ConfigError(
            f"no hub runs in {settings.data_dir} and HUB_BOOTSTRAP_SERVERS is not set: start one with `hub up`; "
            "name the folder of one that runs, with --data-dir or HUB_DATA_DIR; or name the broker"
        )
    return replace(
        Connection.plain(found["bootstrap"]),
        schema_registry=settings.schema_registry_url,
        schema_registry_auth=settings.registry_auth(),
    )


def secret(settings: Settings) -> bytes:
    """The key of the pseudonyms: as set, else that of the hub of the data folder."""
    if settings.person_secret is None and (settings.data_dir / FILE).exists():
        return machine_secret(settings.data_dir).encode()
    return settings.secret()


def announced(data_dir: Path) -> dict[str, int]:
    """The ports of the hub that runs in this folder, by process; empty where none does."""
    found = _read(data_dir)
    return dict(found["ports"]) if found else {}


def _read(data_dir: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((data_dir / FILE).read_text())
        os.kill(found["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return found
