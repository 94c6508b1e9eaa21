"""A real Apache Kafka (KRaft) on the local JDK: one node for a hub on one machine, more for tests of faults."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigError
from hub.kafka.address import LOOPBACK, free_ports
from hub.kafka.child import Child, ChildBroker, Launch, hold, last_lines
from hub.kafka.java import cache, find_jars, find_java

HEAP = "512m"
JVM = ("-XX:+UseSerialGC",)
# On the few cores that it shares with the hub the optimising compiler costs more than it gives in the first minutes:
# without it a start, a thousand new partitions and the first load take half the CPU. After some ten thousand small
# transactions it is worth it: the broker's part in one takes half the time.
BRIEF = ("-XX:TieredStopAtLevel=1",)
GRACE_SECONDS = 20.0
START_SECONDS = 120.0  # a thousand small logs on a busy machine

LOGGING = """\
status = warn
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
rootLogger.appenderRef.console.ref = console
rootLogger.appenderRef.console.level = error
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process, broker and controller in one. All that it keeps is under `folder`."""

    number: int
    folder: Path
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def voter(self) -> str:
        return f"{self.number}@{LOOPBACK}:{self.controller_port}"

    @property
    def settings(self) -> Path:
        return self.folder / "server.properties"

    @property
    def formatted(self) -> bool:
        return (self.folder / "data" / "meta.properties").exists()

    @property
    def console(self) -> Path:
        """What the process prints: errors, and what the JVM says before logging works."""
        return self.folder / "logs" / "console.log"

    @property
    def logging(self) -> Path:
        return self.folder / "log4j2.properties"


class Apache(ChildBroker):
    """One node under `data_dir/kafka`; formatted on the first start, its data kept for the next."""

    name = "Apache Kafka"
    durable = True

    def __init__(
        self, data_dir: Path, *, port: int | None = None, heap: str = HEAP, jvm: Sequence[str] = BRIEF
    ) -> None:
        super().__init__(data_dir / "kafka", port)
        self._heap, self._jvm = heap, jvm

    def open(self, port: int, lock: int) -> Child:
        node = Node(1, self.folder, port, free_ports(1)[0])
        return open_node(node, [node], cluster_id(), lock, self._heap, jvm=self._jvm)


def open_node(
    node: Node,
    nodes: Sequence[Node],
    cluster: str,
    lock: int,
    heap: str = HEAP,
    grace: float = GRACE_SECONDS,
    jvm: Sequence[str] = BRIEF,
) -> Child:
    """Write the node's settings, format its storage if that was never done, and run it.

    `nodes` are all of the cluster, itself among them; `cluster` is used only for formatting.
    """
    return _open(node, nodes, _java(find_java(), find_jars()), [*jvm, f"-Xmx{heap}"], cluster, lock, grace)


def make_ready() -> tuple[str, Path]:
    """The program `java` and the folder of Kafka's jars, with all in place that the first start would make. Raises
    `ConfigError`."""
    program, jars = find_java(), find_jars()
    _java(program, jars)
    return program, jars


def cluster_id() -> str:
    """A new one, as Kafka writes it: 16 random bytes in URL-safe base64 without padding."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return cluster_id() if text.startswith("-") else text  # the command line would read it as an option


def properties(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    copies = min(3, len(nodes))
    safe = max(1, copies - 1)
    listeners = f"BROKER://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        # Static voters rather than a dynamic quorum: the ports may be others at the next start.
        "controller.quorum.voters": ",".join(each.voter for each in nodes),
        "listeners": listeners,  # loopback only, no security: nobody else may reach it
        "advertised.listeners": f"BROKER://{node.address}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.folder / "data"),
        "auto.create.topics.enable": "false",  # topics come from the catalogue only
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(safe),
        "unclean.leader.election.enable": "false",
        "offsets.topic.replication.factor": str(copies),
        "offsets.topic.num.partitions": "4",  # 50 by default: each a log to open on every start
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(safe),
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(safe),
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",  # waiting three seconds for more members helps nobody here
        "log.segment.bytes": str(64 << 20),  # compaction and retention only touch closed segments
        "log.cleaner.dedupe.buffer.size": str(16 << 20),  # 128 MiB of the small heap by default
        "num.recovery.threads.per.data.dir": "2",  # quicker after a kill: a thousand small logs
        # After a kill the node waits this long for its own former life to be given up: 9 seconds by default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "1000",
    }


def _open(
    node: Node,
    nodes: Sequence[Node],
    java: Sequence[str],
    jvm: Sequence[str],
    cluster: str,
    lock: int,
    grace: float = GRACE_SECONDS,
) -> Child:
    _write_settings(node, nodes)
    if not node.formatted:
        _format(java, node, cluster)
    return Child(_launch([*java, *jvm], node, grace), lock)


def _java(program: str, jars: Path) -> list[str]:
    """The command that every program of Kafka begins with."""
    plain = [program, "-cp", f"{jars}/*", *JVM]
    return [*plain, *_classes(plain, _stamp(program, jars))]


def _classes(java: Sequence[str], stamp: str) -> list[str]:
    """The option for Kafka's classes as the JVM has them when they are loaded (JEP 350): a start takes half the time
    and half the CPU. Made once for these jars and this java; where it cannot be made, an empty file says so."""
    archive = cache() / f"classes-{stamp}.jsa"
    try:
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=archive.parent, prefix="classes-") as folder:
                _archive(java, Path(folder)).replace(archive)
        return [f"-XX:SharedArchiveFile={archive}"] if archive.stat().st_size else []
    except OSError:  # nothing can be kept there: it is done without
        return []


def _stamp(program: str, jars: Path) -> str:
    """Of what the JVM compares before it takes an archive."""
    java = Path(program).resolve()
    files = [java, *sorted(jars.glob("*.jar"))]
    told = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _archive(java: Sequence[str], folder: Path) -> Path:
    """What a node that starts and ends leaves behind; an empty file where that is nothing, or not whole."""
    made = folder / "made.jsa"
    node = Node(1, folder / "node", *free_ports(2))
    node.folder.mkdir()
    jvm = [*BRIEF, f"-Xmx{HEAP}", f"-XX:ArchiveClassesAtExit={made}"]
    with suppress(ConfigError), hold(node.folder / "lock", "Apache Kafka") as lock:
        child = _open(node, [node], java, jvm, cluster_id(), lock)
        try:
            child.wait_ready()
        finally:
            child.stop()
    proof = [f"-XX:SharedArchiveFile={made}", "-Xshare:on", "-XX:+VerifySharedSpaces", "-version"]
    if subprocess.run([*java, *proof], cwd=folder, capture_output=True, check=False).returncode:
        made.unlink(missing_ok=True)
    made.touch()
    return made


def _write_settings(node: Node, nodes: Sequence[Node]) -> None:
    lines = [f"{name}={value}\n" for name, value in properties(node, nodes).items()]
    node.console.parent.mkdir(parents=True, exist_ok=True)
    node.settings.write_text("".join(lines))
    node.logging.write_text(LOGGING.format(log=node.folder / "logs" / "kafka.log"))


def _format(java: Sequence[str], node: Node, cluster: str) -> None:
    tool = [*BRIEF, "-Xmx64m", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(node.settings)]
    run = subprocess.run([*java, *tool], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ConfigError(f"Apache Kafka could not format {node.folder}:\n{last_lines(run.stdout + run.stderr)}")


def _launch(java: Sequence[str], node: Node, grace: float) -> Launch:
    return Launch(
        name="Apache Kafka",
        command=[*java, f"-Dlog4j2.configurationFile={node.logging}", "kafka.Kafka", str(node.settings)],
        address=node.address,
        log=node.console,
        grace=grace,
        patience=START_SECONDS,
    )
