"""Delivery on a real broker: whoever is down blocks nobody, nothing is lost, order holds, a stop is clean."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic
from structlog.testing import capture_logs
from workers import until

from connectors.file_drop.connector import CONNECTOR as FILE_DROP
from hub.delivery import run as runner
from hub.delivery.observer import DeliveryObserver, Unobserved
from hub.delivery.session import BATCH
from hub.kafka import clients
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all
from hub.registry.log import register
from hub.sdk import Connector, Context, Delivery, Retry, Settings, Sink, Text

ROOT = Path(__file__).parents[2]
RECEIPT = (ROOT / "schemas/hub/hub.DeliveryReceipt.avsc").read_text(encoding="utf-8")
VIEW = {
    "type": "record",
    "name": "test.View",
    "fields": [
        {"name": "number", "type": "int"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    ],
}
PARTITIONS = 2
PEOPLE = 7
WAIT = 90.0

Name = Callable[[str], str]


@dataclass
class Receiver:
    """What one agency got, call by call, and how it behaves."""

    batches: list[list[Delivery]] = field(default_factory=list)
    by: list[MemorySink] = field(default_factory=list)
    """Which process's sink took each of them."""
    down: bool = False
    seconds: float = 0.0
    begun: threading.Event = field(default_factory=threading.Event)

    @property
    def deliveries(self) -> list[Delivery]:
        return [delivery for batch in list(self.batches) for delivery in batch]

    def ids(self) -> list[str]:
        return [delivery.event_id for delivery in self.deliveries]


class MemorySink(Sink):
    def __init__(self, receivers: Mapping[str, Receiver]) -> None:
        self._receivers = receivers

    def open(self, context: Context) -> None:
        self._receiver = self._receivers[context.agency]

    def deliver(self, batch: Sequence[Delivery]) -> None:
        if self._receiver.down:
            raise Retry("down", 0.2)
        self._receiver.begun.set()
        time.sleep(self._receiver.seconds)
        self._receiver.by.append(self)
        self._receiver.batches.append(list(batch))


@dataclass
class Hub:
    """Topics of some agencies on a broker, and processes that deliver from them."""

    connection: Connection
    agencies: Sequence[str]
    publisher: str
    schema_id: int
    data: Path

    def publish(self, agency: str, numbers: range) -> None:
        schema = fastavro.parse_schema(VIEW)
        with clients.producer(self.connection) as producer:
            for number in numbers:
                body = io.BytesIO()
                body.write(b"\0" + self.schema_id.to_bytes(4, "big"))
                fastavro.schemaless_writer(body, schema, {"number": number, "day": 20_000})
                key = b"%032x" % (number % PEOPLE)
                producer.send(f"out.{agency}", body.getvalue(), key, self._headers(number))

    def _headers(self, number: int) -> list[tuple[str, bytes]]:
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"%032x" % number),
            ("ce_originid", b"e-%d" % number),
            ("ce_source", f"urn:az:agency:{self.publisher}".encode()),
            ("ce_type", b"test.View"),
            ("ce_time", b"2026-03-02T09:15:00.250Z"),
            ("content-type", b"application/avro"),
            ("hub_accepted", b"%d" % (time.time() * 1000)),
        ]

    @contextmanager
    def process(
        self, name: str = "memory", observer: DeliveryObserver | None = None, **settings: Any
    ) -> Iterator[threading.Event]:
        """A delivery process until the `with` ends (or the event it gives is set)."""
        stop, failed = threading.Event(), []

        def work() -> None:
            try:
                runner.run(
                    self.connection, self.agencies, name, settings, observer or Unobserved(), stop,
                    hub=self.publisher, data_dir=self.data,
                )  # fmt: skip
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join(WAIT)
        assert not thread.is_alive() and not failed

    def committed(self, agency: str, group: str = "memory") -> int:
        parts = [TopicPartition(f"out.{agency}", i) for i in range(PARTITIONS)]
        with clients.consumer(self.connection, group=f"{self.publisher}.delivery.{group}") as consumer:
            return sum(consumer.committed(part) or 0 for part in parts)

    def commit(self, agency: str, offset: int) -> None:
        parts = [TopicPartition(f"out.{agency}", i) for i in range(PARTITIONS)]
        with clients.consumer(self.connection, group=f"{self.publisher}.delivery.memory") as consumer:
            consumer.assign(parts)
            consumer.commit({part: OffsetAndMetadata(offset, "", -1) for part in parts})

    def take_away(self, agency: str) -> None:
        """All that is in the topic, as retention does."""
        parts = [TopicPartition(f"out.{agency}", i) for i in range(PARTITIONS)]
        with clients.consumer(self.connection) as consumer:
            ends = consumer.end_offsets(parts)
        with clients.admin(self.connection) as admin:
            admin.delete_records(ends)


def make_hub(connection: Connection, name: Name, data: Path, agencies: int = 1) -> Hub:
    codes, publisher = [name("agency") for _ in range(agencies)], name("publisher")
    topics = [*(f"out.{code}" for code in codes), f"receipts.{publisher}"]
    with clients.admin(connection) as admin:
        if "_schemas" not in admin.list_topics():
            admin.create_topics([NewTopic("_schemas", 1, 1)])
        admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics])
    schemas = register(connection, [("hub.DeliveryReceipt", RECEIPT), ("test.View", json.dumps(VIEW))])
    return Hub(connection, codes, publisher, schemas.id_of("test.View"), data)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Receiver]:
    """The connector `memory`, whose receivers these are."""
    receivers: dict[str, Receiver] = defaultdict(Receiver)
    connector = Connector(
        "memory", Text("Yaddaşda saxlayır.", "Keeps in memory."), Settings, lambda _: MemorySink(receivers)
    )
    monkeypatch.setattr(runner, "find", lambda name: connector if name == "memory" else FILE_DROP)
    return receivers


def in_order(deliveries: Sequence[Delivery]) -> bool:
    seen: dict[int, int] = {}
    for delivery in deliveries:
        if seen.get(delivery.partition, -1) >= delivery.offset:
            return False
        seen[delivery.partition] = delivery.offset
    return True


def ids(numbers: range) -> list[str]:
    return [f"{number:032x}" for number in numbers]


def test_a_receiver_that_is_down_blocks_no_other(
    embedded: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub = make_hub(embedded, name, tmp_path, agencies=2)
    down, well = hub.agencies
    memory[down].down = True
    for agency in hub.agencies:
        hub.publish(agency, range(300))
    with hub.process():
        until(lambda: len(memory[well].ids()) == 300, "the one that is well has all")
        hub.publish(well, range(300, 400))
        until(lambda: len(memory[well].ids()) == 400, "and all that follows")
        assert memory[down].ids() == []
        assert hub.committed(down) == 0
        memory[down].down = False
        until(lambda: len(memory[down].ids()) == 300, "the one that is back has all")
    assert sorted(memory[down].ids()) == ids(range(300)) and in_order(memory[down].deliveries)
    assert hub.committed(down) == 300 and hub.committed(well) == 400


def test_order_within_each_partition_and_every_event_once(
    embedded: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub = make_hub(embedded, name, tmp_path)
    (agency,) = hub.agencies
    with hub.process():
        for start in range(0, 5000, 500):
            hub.publish(agency, range(start, start + 500))
            memory[agency].down = start % 1000 == 0
        memory[agency].down = False
        until(lambda: len(memory[agency].ids()) >= 5000, "all are delivered")
    got = memory[agency]
    assert sorted(got.ids()) == ids(range(5000)) and in_order(got.deliveries)
    assert {delivery.partition for delivery in got.deliveries} == set(range(PARTITIONS))
    assert max(map(len, got.batches)) <= 1000
    of_person = [d.data["number"] for d in got.deliveries if d.key == f"{3:032x}"]
    assert of_person == sorted(of_person)


def test_receipts_are_the_publishers(
    embedded: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub = make_hub(embedded, name, tmp_path)
    hub.publish(hub.agencies[0], range(50))
    with hub.process():
        until(lambda: hub.committed(hub.agencies[0]) == 50, "all are committed")
    records = list(read_all(embedded, f"receipts.{hub.publisher}"))
    schema = fastavro.parse_schema(json.loads(RECEIPT))
    receipts = [fastavro.schemaless_reader(io.BytesIO((r.value or b"")[5:]), schema, None) for r in records]
    assert sorted((r.key or b"").decode() for r in records) == ids(range(50))
    assert {receipt["outcome"] for receipt in receipts} == {"DELIVERED"}
    assert sorted(receipt["event_id"] for receipt in receipts) == ids(range(50))


def test_a_stop_ends_the_batch_in_flight_and_the_next_start_goes_on_behind_it(
    embedded: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub = make_hub(embedded, name, tmp_path)
    (agency,) = hub.agencies
    hub.publish(agency, range(4000))
    memory[agency].seconds = 0.5
    with hub.process() as stop:
        assert memory[agency].begun.wait(WAIT)
        stop.set()
        done = len(memory[agency].batches)
    assert len(memory[agency].batches) <= done + PARTITIONS, "only what was in flight came after the stop"
    first = len(memory[agency].ids())
    assert 0 < first < 4000 and hub.committed(agency) == first
    memory[agency].seconds = 0
    with hub.process():
        until(lambda: len(memory[agency].ids()) >= 4000, "all are delivered")
    assert sorted(memory[agency].ids()) == ids(range(4000)) and in_order(memory[agency].deliveries)


def test_a_second_process_takes_partitions_over_and_nothing_is_lost(
    broker: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hub = make_hub(broker, name, tmp_path, agencies=2)
    with hub.process():
        for agency in hub.agencies:
            hub.publish(agency, range(1000))
        until(lambda: all(len(memory[agency].ids()) >= 1000 for agency in hub.agencies), "the first ones are delivered")
        with hub.process():
            for start in range(1000, 3000, 200):
                for agency in hub.agencies:
                    hub.publish(agency, range(start, start + 200))
                time.sleep(0.3)
        for agency in hub.agencies:
            hub.publish(agency, range(3000, 3500))

        def state() -> object:
            return {a: (len(memory[a].ids()), len(set(memory[a].ids())), hub.committed(a)) for a in hub.agencies}

        until(
            lambda: all(set(memory[a].ids()) == set(ids(range(3500))) for a in hub.agencies),
            "all are delivered",
            tell=state,
        )
        until(lambda: all(hub.committed(agency) == 3500 for agency in hub.agencies), "all are committed", tell=state)
    assert all(steps_back(memory[agency]) <= BATCH for agency in hub.agencies), "more than the batch not yet committed"
    if "apache" in request.node.callspec.params.values():
        assert all(len(memory[agency].ids()) == 3500 for agency in hub.agencies), "what is handed back is committed"


def steps_back(receiver: Receiver) -> int:
    """By how many records, at most, a process went back in a partition: to what it had delivered and not committed.

    The embedded broker refuses the commit of a member that has not yet heard of a rebalance, so there it does.
    """
    reached: dict[tuple[int, int], int] = {}
    furthest = 0
    for sink, batch in zip(receiver.by, receiver.batches, strict=True):
        place = (id(sink), batch[0].partition)
        furthest = max(furthest, reached.get(place, 0) - batch[0].offset)
        reached[place] = batch[-1].offset + 1
    return furthest


class Told(Unobserved):
    """By reason, how many events an agency did not get because the broker has them no more."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def gone(self, agency: str, reason: str, count: int) -> None:
        self.counts[agency, str(reason)] += count


def watched(broker: Connection, name: Name, folder: Path) -> tuple[Hub, str, Told]:
    """A hub of one agency, and what is told of it."""
    hub = make_hub(broker, name, folder)
    (agency,) = hub.agencies
    return hub, agency, Told()


def test_what_retention_took_while_nobody_delivered_is_said_and_counted_once(
    broker: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub, agency, told = watched(broker, name, tmp_path)
    hub.publish(agency, range(100))
    with hub.process(observer=told):
        until(lambda: hub.committed(agency) == 100, "the first ones are delivered")
    hub.publish(agency, range(100, 140))
    hub.take_away(agency)
    with capture_logs() as lines, hub.process(observer=told):
        until(lambda: sum(told.counts.values()) == 40, "what is gone is counted")
    (first, *others) = [line for line in lines if "gone" in line["event"]]
    assert (first["log_level"], first["topic"], first["agency"]) == ("error", f"out.{agency}", agency)
    assert sum(line["events_at_most"] for line in (first, *others)) == 40
    assert {line["reason"] for line in (first, *others)} == {"RETENTION"}
    assert told.counts == {(agency, "retention"): 40}
    with hub.process(observer=told):  # where reading goes on was committed
        hub.publish(agency, range(140, 200))
        until(lambda: hub.committed(agency) == 200, "what follows is delivered")
    assert sorted(memory[agency].ids()) == ids(range(100)) + ids(range(140, 200)) and in_order(
        memory[agency].deliveries
    )
    assert told.counts == {(agency, "retention"): 40}


def test_what_retention_takes_behind_a_receiver_that_is_down_is_said_and_counted(
    broker: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub, agency, told = watched(broker, name, tmp_path)
    hub.publish(agency, range(50))
    memory[agency].seconds = 2.0
    with hub.process(observer=told):
        assert memory[agency].begun.wait(WAIT)
        memory[agency].down = True
        until(lambda: len(memory[agency].ids()) > 0, "one batch is delivered, the other one waits")
        hub.publish(agency, range(50, 90))
        hub.take_away(agency)
        memory[agency].down, memory[agency].seconds = False, 0.0
        until(lambda: sum(told.counts.values()) > 0, "what is gone is counted")
        hub.publish(agency, range(90, 120))
        until(lambda: set(ids(range(90, 120))) <= set(memory[agency].ids()), "what follows is delivered")
        until(lambda: hub.committed(agency) == 120, "and committed")
    missed = set(ids(range(120))) - set(memory[agency].ids())
    assert told.counts == {(agency, "retention"): len(missed)}


def test_what_was_gone_before_anything_was_committed_is_said_and_counted(
    embedded: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    """As after a week away: Kafka forgets what a group has committed long before retention takes the records."""
    hub, agency, told = watched(embedded, name, tmp_path)
    hub.publish(agency, range(40))
    hub.take_away(agency)
    hub.publish(agency, range(40, 100))
    with hub.process(observer=told):
        until(lambda: hub.committed(agency) == 100, "what is there is delivered")
    assert sorted(memory[agency].ids()) == ids(range(40, 100))
    assert told.counts == {(agency, "unread"): 40}


def test_a_log_that_lost_its_tail_is_delivered_from_its_beginning(
    broker: Connection, name: Name, memory: dict[str, Receiver], tmp_path: Path
) -> None:
    hub, agency, told = watched(broker, name, tmp_path)
    hub.publish(agency, range(100))
    hub.commit(agency, 1000)
    with hub.process(observer=told):
        until(lambda: hub.committed(agency) == 100, "all that is there is delivered")
    assert sorted(memory[agency].ids()) == ids(range(100))
    assert told.counts == {(agency, "tail"): 1000 * PARTITIONS - 100}


CRASH = """
import os, sys, threading
from pathlib import Path
from hub.delivery import receipts, run
from hub.delivery.observer import DeliveryObserver, Unobserved
from hub.kafka.connection import Connection
receipts.Receipts.write = lambda *_: os._exit(9)
servers, agency, hub, folder = sys.argv[1:]
run.run(Connection.plain(servers), [agency], "file_drop", {"directory": folder}, Unobserved(),
        threading.Event(), hub=hub, data_dir=Path(folder))
"""


def test_killed_between_the_file_and_the_commit(apache: Connection, name: Name, tmp_path: Path) -> None:
    """On Apache Kafka: the embedded broker never takes a dead member's partitions away."""
    hub = make_hub(apache, name, tmp_path / "data")
    (agency,) = hub.agencies
    hub.publish(agency, range(200))
    child = [sys.executable, "-c", CRASH, apache.bootstrap, agency, hub.publisher, str(tmp_path)]
    assert subprocess.run(child, cwd=ROOT, timeout=WAIT, check=False).returncode == 9
    before = lines(tmp_path / agency)
    assert before and hub.committed(agency, "file_drop") == 0
    hub.publish(agency, range(200, 300))
    with hub.process("file_drop", directory=str(tmp_path)):
        until(lambda: hub.committed(agency, "file_drop") == 300, "all are committed")
    after = lines(tmp_path / agency)
    assert {event["id"] for event in after} == set(ids(range(300)))
    assert len(after) <= 300 + len(before), "only what was not committed came again"
    assert not [path for path in os.listdir(tmp_path / agency) if path.endswith(".tmp")]


def lines(folder: Path) -> list[Any]:
    found = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text(encoding="utf-8").splitlines()]
