"""Keeps brokers, as the hub itself starts them, in a process of its own; it ends, and they with it, with its input.

`python keeper.py KIND FOLDER NODES PORT` prints the bootstrap servers, then obeys lines: `start 1 2` answers with the
processes' ids once all of these answer, `stop 1` with an empty line. Exit code 3: this machine cannot have it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hub.errors import ConfigError
from hub.kafka.broker import Kind
from hub.kafka.brokers import open_broker
from hub.kafka.cluster import Cluster
from hub.kafka.java import find_jars, find_java

MISSING = 3


class One:
    """A broker of one node, spoken to like a cluster."""

    def __init__(self, kind: str, folder: Path, port: int) -> None:
        self._broker = open_broker(kind, folder, port=port)
        self.bootstrap = f"127.0.0.1:{port}"

    def start_nodes(self, *_: int) -> None:
        self._broker.stop()
        self._broker.start()

    def stop_node(self, _: int) -> None:
        self._broker.stop()

    def stop(self) -> None:
        self._broker.stop()

    def pid_of(self, _: int) -> int | None:
        return self._broker.pid


def keep(kafka: One | Cluster) -> None:
    for line in sys.stdin:
        order, *numbers = line.split()
        nodes = [int(number) for number in numbers]
        if order == "start":
            kafka.start_nodes(*nodes)
        for node in nodes if order == "stop" else ():
            kafka.stop_node(node)
        print(*(kafka.pid_of(node) for node in nodes if order == "start"), flush=True)


def main(kind: str, folder: Path, nodes: int, port: int) -> None:
    kafka = Cluster(folder, count=nodes) if nodes > 1 else One(kind, folder, port)
    try:
        if kind == Kind.APACHE:
            find_java(), find_jars()
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    print(kafka.connection.bootstrap if isinstance(kafka, Cluster) else kafka.bootstrap, flush=True)
    try:
        keep(kafka)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    finally:
        kafka.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
