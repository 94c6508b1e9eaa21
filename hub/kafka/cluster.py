"""Several nodes of Apache Kafka on this machine, for what only several can show: a broker less, and nothing stops."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hub.kafka.address import free_ports
from hub.kafka.apache import Node, cluster_id, open_node
from hub.kafka.broker import Broker
from hub.kafka.child import Child, hold
from hub.kafka.connection import Connection

HEAP = "384m"
GRACE_SECONDS = 3.0
"""The last nodes of a cluster wait in vain for a controller that would take their leave."""


class Cluster(Broker):
    """Nodes 1…n under `data_dir/kafka/<number>`, each of which can be started and stopped by itself.

    With three, topics have three copies of which two must be there, so that one node may be away.
    """

    name = "Apache Kafka"
    durable = True

    def __init__(self, data_dir: Path, *, count: int = 3, heap: str = HEAP) -> None:
        ports = free_ports(2 * count)
        self.folder = data_dir / "kafka"
        self.nodes = tuple(
            Node(number, self.folder / str(number), ports[2 * number - 2], ports[2 * number - 1])
            for number in range(1, count + 1)
        )
        self._heap = heap
        self._children: dict[int, Child] = {}

    @property
    def pid(self) -> int | None:
        """Of the first node."""
        return self.pid_of(self.nodes[0].number)

    @property
    def connection(self) -> Connection:
        return Connection(tuple(node.address for node in self.nodes))

    def pid_of(self, number: int) -> int | None:
        child = self._children.get(number)
        return child.pid if child else None

    def start(self) -> Connection:
        self.start_nodes(*(node.number for node in self.nodes))
        return self.connection

    def start_nodes(self, *numbers: int) -> None:
        """All at once: none of them answers before most of the cluster is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for number in numbers:
                self.stop_node(number)
                self._children[number] = self._open(self.nodes[number - 1])
            for number in numbers:
                self._children[number].wait_ready()
        except BaseException:  # Ctrl-C while they start, too
            self.stop()
            raise

    def stop_node(self, number: int) -> None:
        child = self._children.pop(number, None)
        if child is not None:
            child.stop()

    def stop(self) -> None:
        with ThreadPoolExecutor() as together:
            list(together.map(self.stop_node, list(self._children)))

    def _open(self, node: Node) -> Child:
        node.folder.mkdir(exist_ok=True)
        with hold(node.folder / "lock", f"{self.name}, node {node.number},") as lock:
            return open_node(node, self.nodes, _cluster_id(self.folder, self.nodes), lock, self._heap, GRACE_SECONDS)


def _cluster_id(folder: Path, nodes: Sequence[Node]) -> str:
    """The one that the nodes were formatted with, or are about to be."""
    kept = folder / "cluster.id"
    if not kept.exists() or not any(node.formatted for node in nodes):
        kept.write_text(cluster_id())
    return kept.read_text()
