"""Brokers as processes: they start, say what is missing, keep what they promise, and never outlive their hub."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import require_apache

from hub.errors import ConfigError
from hub.kafka import address, java
from hub.kafka.apache import Apache
from hub.kafka.broker import Broker
from hub.kafka.brokers import open_broker
from hub.kafka.child import Child
from hub.kafka.clients import admin, producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60.0

# A hub: starts a broker, says where, waits to be killed or told (a line on its standard input).
HUB = """
import sys
from pathlib import Path
from hub.kafka.brokers import open_broker
try:
    with open_broker(sys.argv[1], Path(sys.argv[2])) as connection:
        print(connection.bootstrap, flush=True)
        sys.stdin.readline()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


BOTH = pytest.mark.parametrize("kind", ["embedded", "apache"], indirect=True)


@pytest.fixture(params=["embedded"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "apache":
        require_apache()
    return str(request.param)


@pytest.fixture
def hub(kind: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A hub in a session of its own, as a terminal would give it, with its broker running."""
    process = subprocess.Popen(
        [sys.executable, "-c", HUB, kind, str(tmp_path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def bootstrap(hub: subprocess.Popen[str]) -> str:
    assert hub.stdout is not None
    return hub.stdout.readline().strip()


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


def gone(where: str) -> bool:
    """Whether nobody is there; who is only slow is."""
    return not address.answers(where, timeout=PATIENCE)


def running(pid: int | None) -> bool:
    assert pid is not None
    return Path(f"/proc/{pid}").exists() if sys.platform == "linux" else _signalled(pid)


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@BOTH
def test_a_broker_ends_with_its_hub_and_the_next_hub_goes_on(
    kind: str, hub: subprocess.Popen[str], tmp_path: Path
) -> None:
    where = bootstrap(hub)
    write(Connection.plain(where), b"kept")
    hub.kill()
    broker = open_broker(kind, tmp_path)
    with broker as connection:  # waits for the broker of the killed hub to be gone
        assert not address.answers(where)
        assert kept(connection) == [b"kept"] * broker.durable
        write(connection, b"acknowledged")
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
    with broker as connection:
        assert kept(connection) == [b"kept", b"acknowledged"] * broker.durable
        pid = broker.pid
        assert running(pid)
    assert not running(pid)
    assert broker.pid is None
    assert not address.answers(connection.bootstrap)
    broker.stop()


def test_a_broker_ends_soon_after_its_hub_was_killed(hub: subprocess.Popen[str]) -> None:
    where = bootstrap(hub)
    hub.kill()
    assert wait_for(lambda: gone(where), PATIENCE)


def test_ctrl_c_in_the_terminal_is_for_the_hub_alone(hub: subprocess.Popen[str]) -> None:
    where = bootstrap(hub)
    os.killpg(hub.pid, signal.SIGSTOP)  # a hub that is busy with its own clean stop for a while
    os.killpg(hub.pid, signal.SIGINT)
    assert not wait_for(lambda: gone(where), 0.7)
    os.killpg(hub.pid, signal.SIGCONT)
    out, _ = hub.communicate(timeout=PATIENCE)
    assert "stopped" in out
    assert not address.answers(where)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_broker_does_not_outlive_its_guard(tmp_path: Path) -> None:
    broker = open_broker("embedded", tmp_path)
    with broker:
        pid = broker.pid
        assert pid is not None
        guard = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
        os.kill(guard, signal.SIGKILL)
        assert wait_for(lambda: not running(pid), PATIENCE)


@BOTH
def test_a_port_that_somebody_has_is_named(kind: str, tmp_path: Path) -> None:
    with socket.create_server((address.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .*busy"):
            open_broker(kind, tmp_path, port=port).start()


def kept(connection: Connection) -> list[bytes | None]:
    return [record.value for record in read_all(connection, "kept")]


def write(connection: Connection, value: bytes) -> None:
    with admin(connection) as client:
        if "kept" not in client.list_topics():
            client.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    with producer(connection) as sender:
        sender.send("kept", value=value).get(timeout=10)


def test_the_embedded_broker_says_that_it_keeps_nothing(tmp_path: Path) -> None:
    broker: Broker = open_broker("embedded", tmp_path)
    assert not broker.durable
    for _ in range(2):
        with broker as connection, admin(connection) as client:
            assert "gone" not in client.list_topics()
            client.create_topics({"gone": {"num_partitions": 1, "replication_factor": 1}})


def test_the_end_of_the_log_says_why_apache_did_not_start(tmp_path: Path) -> None:
    require_apache()
    with pytest.raises(ConfigError, match="Invalid maximum heap size"):
        Apache(tmp_path, heap="nonsense").start()


def test_an_external_broker_is_only_looked_at(embedded: Connection, tmp_path: Path) -> None:
    broker = open_broker("external", tmp_path, connection=embedded)
    with broker as connection:
        assert connection is embedded
    assert broker.pid is None
    assert address.answers(embedded.bootstrap)


def test_an_external_broker_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.kafka.clients.CONNECT_MS", 300)
    (port,) = address.free_ports(1)
    where = f"{address.LOOPBACK}:{port}"
    with pytest.raises(ConfigError, match=where):
        open_broker("external", tmp_path, connection=Connection.plain(where)).start()
    with pytest.raises(ConfigError, match="HUB_BOOTSTRAP_SERVERS"):
        open_broker("external", tmp_path)


def test_an_unknown_kind_is_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="embedded, apache, external"):
        open_broker("rabbit", tmp_path)


def test_what_apache_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"KAFKA_HOME.*kafka_2\.13"):
        java.find_jars()
    monkeypatch.delenv("KAFKA_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigError, match="no mvn"):
        java.find_jars()
    with pytest.raises(ConfigError, match="install a JDK 17"):
        java.find_java()


@pytest.mark.long
def test_apache_starts_with_its_classes_as_they_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made once, and a start that takes them says nothing of any that do not fit."""
    unpacked(tmp_path, monkeypatch)
    with Apache(tmp_path / "one"):
        (archive,) = (tmp_path / "cache").rglob("*.jsa")
    made, second = archive.stat(), Apache(tmp_path / "two")
    with second:
        assert f"-XX:SharedArchiveFile={archive}" in command(second)
    assert archive.stat() == made
    assert "[cds]" not in (tmp_path / "two" / "kafka" / "logs" / "console.log").read_text()


@pytest.mark.long
def test_classes_that_are_not_whole_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JVM dies of half an archive."""
    unpacked(tmp_path, monkeypatch)
    stop = Child.stop

    def cut(self: Child) -> None:
        stop(self)
        for made in tmp_path.rglob("made.jsa"):
            os.truncate(made, made.stat().st_size // 2)

    monkeypatch.setattr(Child, "stop", cut)
    with (broker := Apache(tmp_path / "one")):
        assert not [word for word in command(broker) if "SharedArchive" in word]
    assert [file.stat().st_size for file in (tmp_path / "cache").rglob("*.jsa")] == [0]


def test_apache_starts_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(tmp_path, monkeypatch)
    (tmp_path / "cache").touch()
    with Apache(tmp_path / "one") as connection:
        assert address.answers(connection.bootstrap)


def unpacked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached yet, and Kafka is there."""
    require_apache()
    (folder / "kafka").mkdir()
    (folder / "kafka" / "libs").symlink_to(java.find_jars())
    monkeypatch.setenv("KAFKA_HOME", str(folder / "kafka"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def command(broker: Broker) -> list[str]:
    return Path(f"/proc/{broker.pid}/cmdline").read_text().split("\0")


def test_a_java_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="is Java 8, 17 or later"):
        java.find_java()


def test_a_missing_extra_is_answered_with_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[embedded\]'"):
        open_broker("embedded", tmp_path).start()
