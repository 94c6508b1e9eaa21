"""A broker that somebody else runs (`HUB_BOOTSTRAP_SERVERS`)."""

from __future__ import annotations

from hub.errors import ConfigError
from hub.kafka.broker import Broker
from hub.kafka.clients import admin
from hub.kafka.connection import Connection


class External(Broker):
    """Nothing is started and nothing stopped; `start` only makes sure that it answers."""

    durable = True

    def __init__(self, connection: Connection | None) -> None:
        if connection is None:
            raise ConfigError("broker external: set HUB_BOOTSTRAP_SERVERS to host:port[,host:port…]")
        self._connection = connection

    @property
    def pid(self) -> None:
        return None

    def start(self) -> Connection:
        with admin(self._connection) as client:
            client.list_topics()  # describe_cluster fails on brokers without its newer form
        return self._connection

    def stop(self) -> None:
        """Not ours to stop."""
