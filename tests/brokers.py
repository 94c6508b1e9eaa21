"""The brokers that tests run on: `embedded`, `apache`, and `broker`, which is each of the two in turn."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from hub.errors import ConfigError
from hub.kafka.apache import make_ready
from hub.kafka.brokers import open_broker
from hub.kafka.clients import admin
from hub.kafka.connection import Connection
from hub.kafka.java import find_jars, find_java

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The embedded broker, one for the whole run: tests use names of their own."""
    with open_broker("embedded", tmp_path_factory.mktemp("embedded")) as connection:
        yield connection


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Apache Kafka, one for the whole run; skipped only where this machine cannot have it, and says why."""
    require_apache()
    with open_broker("apache", tmp_path_factory.mktemp("apache")) as connection:
        yield connection


@pytest.fixture(params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> Connection:
    """The same test on the embedded broker and on Apache Kafka."""
    connection: Connection = request.getfixturevalue(request.param)
    return connection


def make_topic(broker: Connection, topic: str, partitions: int = 1, **configs: str) -> str:
    """A topic of one copy, there when this returns; `max_message_bytes="…"` is `max.message.bytes`. Gives its name."""
    spec = {"num_partitions": partitions, "replication_factor": 1, "configs": _dotted(configs)}
    with admin(broker) as client:
        client.create_topics({topic: spec}, wait_for_metadata=True)
    return topic


def _dotted(configs: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in configs.items()}


@pytest.fixture
def name() -> Callable[[str], str]:
    """`name("in")` is a name that no other test of this run has."""
    return lambda prefix: f"{prefix}-{os.getpid()}-{next(_numbers)}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Kafka's jars before the first test, and said: the first time, Maven fetches them."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput"):
        return  # one of several processes: the one that started them has done it
    try:
        terminal.write_line("Apache Kafka: looking for its jars (the first time, Maven fetches 44 MB) …")
        program, jars = make_ready()
        terminal.write_line(f"Apache Kafka: {jars}, {program}")
    except ConfigError as error:
        terminal.write_line(f"Apache Kafka: not here, its tests are skipped: {error}")


def require_apache() -> None:
    """Skip the test where there is neither a JDK nor a way to Kafka's jars."""
    try:
        find_java()
        find_jars()
    except ConfigError as error:
        pytest.skip(str(error))
