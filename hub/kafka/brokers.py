"""Opens the broker that `--broker` names."""

from __future__ import annotations

from pathlib import Path

from hub.errors import ConfigError
from hub.kafka.apache import BRIEF, Apache
from hub.kafka.broker import Broker, Kind
from hub.kafka.connection import Connection
from hub.kafka.embedded import Embedded
from hub.kafka.external import External


def open_broker(
    kind: Kind | str,
    data_dir: Path,
    *,
    port: int | None = None,
    connection: Connection | None = None,
    lasting: bool = False,
) -> Broker:
    """The broker of that kind, not yet started.

    `data_dir` is the run's own (`--data-dir`); `port` asks for that one instead of a free one; `connection` is
    where an external broker is; one that is `lasting` starts more slowly and is quicker after some minutes.
    """
    match _kind(kind):
        case Kind.EMBEDDED:
            return Embedded(data_dir, port=port)
        case Kind.APACHE:
            return Apache(data_dir, port=port, jvm=() if lasting else BRIEF)
        case Kind.EXTERNAL:
            return External(connection)


def _kind(kind: Kind | str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise ConfigError(f"broker is {kind!r}, expected one of {', '.join(Kind)}") from None
