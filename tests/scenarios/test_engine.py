"""Real workers on Apache Kafka, killed, frozen, stopped and made to fail in the middle of their work.

What became of each input is read from the topics with Confluent's client; nothing that the workers count is believed.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import crc32c
import fastavro
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from world import VETERAN, catalogue, headers, raw_schema, sample

from hub.avro.codec import encode
from hub.avro.records import wire_header, without_logical_types
from hub.kafka.address import free_ports
from hub.kafka.connection import Connection
from hub.machine.hub import prepare
from hub.settings import Settings

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 4
PARTITIONS = 4
AGENCIES = ("mod", "mes", "mia")
RECEIVER = "zefer"
LANES = ("gate", "ledger")
PERSONS, EVENTS_EACH, EVENTS_A_SECOND = 90, 40, 1000
DUPLICATES = 100
SESSION = 8.0
PATIENCE = 90.0
MARK = b"poison"

WORKER = f"""
import sys
from hub.cli import main
from hub.pipeline.gate import Gate

step = Gate.__call__

def failing(self, state, records):
    if any({MARK!r} in dict(record.headers)["ce_id"] for record in records):
        raise KeyError("somebody's value")
    return step(self, state, records)

Gate.__call__ = failing
sys.argv = ["hub", "worker"]
main()
"""
"""`hub worker`, with a fault in the gate: it raises on a batch that holds a marked event."""


def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Look again until it holds; what it then gave."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"in {seconds} s not: {what}"
        time.sleep(0.02)
    return found


class Worker:
    """One worker process, and what its log says of the numbers that it holds."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        (self.port,) = free_ports(1)
        environment = {**os.environ, **environment, "HUB_METRICS_PORT": str(self.port), "HUB_LIFELINE": "1"}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Lines of its log with that event."""
        texts = [
            text[text.index("{") :] for text in self._log.read_text().splitlines() if f'"event": "{event}"' in text
        ]
        return [json.loads(text) for text in texts]

    def numbers(self, lane: str) -> list[int]:
        """Those that the group gave it last."""
        assigned = [line["numbers"] for line in self.said("assigned") if line["lane"] == lane]
        return list(assigned[-1]) if assigned else []

    def ready(self) -> bool:
        assert self.alive, self._log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def signal(self, number: int) -> float:
        """Send it; when, in Unix time."""
        at = time.time()
        self.process.send_signal(number)
        return at

    def end(self) -> None:
        if self.alive:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdin:
            self.process.stdin.close()


@dataclass(frozen=True)
class Input:
    """An event as it was sent; `at` is when the broker took it, Unix time in milliseconds."""

    agency: str
    id: str
    fin: str
    sequence: int
    value: bytes
    coordinates: str = ""
    at: int = 0


class Stage:
    """Topics and schemas on a broker, two workers, and a client that shares nothing with them."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.bootstrap, self.folder = connection.bootstrap, folder
        settings = Settings(data_dir=folder, partitions=PARTITIONS)
        prepare(connection, catalogue(), settings, lambda _: None)
        self._schemas = {e["id"]: e for e in (json.loads(m.value() or b"") for m in self.read("_schemas"))}
        self._veteran = max(i for i, e in self._schemas.items() if e["subject"] == VETERAN)
        self._environment = {
            "HUB_NAME": f"engine-{os.getpid()}",
            "HUB_BOOTSTRAP_SERVERS": connection.bootstrap,
            "HUB_PARTITIONS": str(PARTITIONS),
            "HUB_DATA_DIR": str(folder),
            "HUB_PERSON_SECRET": SECRET,
            "HUB_BATCH_RECORDS": "50",  # many small transactions, so that a fault finds one open
        }
        self._workers: list[Worker] = []
        self._started = 0

    def workers(self) -> tuple[Worker, Worker]:
        """Two that are up, each with its half of the numbers of every lane."""
        self._workers = [worker for worker in self._workers if worker.alive]
        while len(self._workers) < 2:
            self.start()
        one, other = self._workers
        until(lambda: one.ready() and other.ready() and self.shared(one, other), "two workers share the numbers")
        return one, other

    def start(self) -> Worker:
        self._started += 1
        self._workers.append(Worker(self._environment, self.folder / f"worker-{self._started}.log"))
        return self._workers[-1]

    def shared(self, *workers: Worker) -> bool:
        """Whether each number of each lane is exactly one worker's, and each has some."""
        held = {lane: [worker.numbers(lane) for worker in workers] for lane in LANES}
        return all(
            all(of) and sorted(number for numbers in of for number in numbers) == list(range(PARTITIONS))
            for of in held.values()
        )

    def members(self, lane: str) -> int:
        """How many the broker counts to the group of that lane now; one that died counts until its session ends."""
        group, client = f"{self._environment['HUB_NAME']}.{lane}", AdminClient({"bootstrap.servers": self.bootstrap})
        return len(client.describe_consumer_groups([group])[group].result(PATIENCE).members)

    def end(self) -> None:
        for worker in self._workers:
            worker.end()

    def event(self, agency: str, id: str, fin: str, sequence: int) -> Input:
        body = sample(VETERAN, fin=fin, document_number=f"D-{id}", effective_from=20_000 + sequence, valid_until=None)
        return Input(agency, id, fin, sequence, encode(raw_schema(VETERAN), body, wire_header(self._veteran)))

    def decode(self, value: bytes | None) -> tuple[str, dict[str, Any]]:
        """(subject, plain values) of a record that the hub wrote."""
        assert value is not None
        subject, schema = self._parsed(int.from_bytes(value[1:5], "big"))
        return subject, dict(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None))  # type: ignore[arg-type]

    @lru_cache(maxsize=200)  # noqa: B019  # one stage a run
    def _parsed(self, schema_id: int) -> tuple[str, Any]:
        entry = self._schemas[schema_id]
        return entry["subject"], fastavro.parse_schema(without_logical_types(json.loads(entry["schema"])))

    def consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "nobody",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # at the end of a partition Apache Kafka waits so long before it says so
                "log_level": 0,
            }
        )

    def read(self, *topics: str) -> list[Message]:
        """All that is committed in these topics."""
        consumer = self.consumer()
        known = consumer.list_topics(timeout=10).topics
        parts = [TopicPartition(topic, p, 0) for topic in topics for p in known[topic].partitions]
        consumer.assign(parts)
        messages, ended = [], set()
        deadline = time.monotonic() + PATIENCE
        while len(ended) < len(parts):
            assert time.monotonic() < deadline, f"{topics} could not be read to their ends"
            for message in consumer.consume(1000, 0.02):
                if message.error():
                    ended.add((message.topic(), message.partition()))
                else:
                    messages.append(message)
        consumer.close()
        return messages


@pytest.fixture(scope="module")
def stage(apache: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found = Stage(apache, tmp_path_factory.mktemp("engine"))
    yield found
    found.end()


@dataclass
class Load:
    """Events of persons of its own, sent at a steady rate by a thread; and the receipts that came so far.

    Each person's events are in order of their sequence; some are sent twice; `marked` ones the gate cannot take.
    """

    stage: Stage
    name: str
    marked: int = 0
    inputs: list[Input] = field(default_factory=list)
    receipts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop, self._failed = threading.Event(), []
        self._plan = list(self._planned())
        self._producer = Producer({"bootstrap.servers": self.stage.bootstrap, "acks": "all", "log_level": 0})
        self._consumer = self.stage.consumer()
        topics = [f"receipts.{agency}" for agency in AGENCIES]
        ends = [TopicPartition(topic, p, self._end(topic, p)) for topic in topics for p in range(PARTITIONS)]
        self._consumer.assign(ends)
        self._thread = threading.Thread(target=self._send, name="load")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        self._consumer.close()

    @property
    def sent(self) -> int:
        return len(self.inputs)

    def follow(self) -> int:
        """Take in new receipts; how many there are since this load began."""
        for message in self._consumer.consume(2000, 0.05):
            if not message.error():
                name, value = self.stage.decode(message.value())
                if name == "hub.Receipt":
                    self.receipts.append(((message.key() or b"").decode(), value))
        return len(self.receipts)

    def reached(self, receipts: int) -> None:
        """Wait for so many receipts: the moment for a fault, with others still owed."""
        until(lambda: self.follow() >= receipts, f"{receipts} receipts")
        assert len(self.receipts) < len(self._plan), "work is in flight"

    def finished(self) -> None:
        """Wait until every input has a receipt, and a little for one too many."""
        until(lambda: self.sent == len(self._plan) or self._failed, "all sent")
        assert not self._failed
        until(lambda: self.follow() >= len(self._plan), f"a receipt for each of {len(self._plan)} inputs")
        self.follow()

    def _end(self, topic: str, partition: int) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1])

    def _planned(self) -> Iterator[Input]:
        """Person by turns, so that all of them are in flight at any time."""
        event, tag = self.stage.event, self.name[0].upper()
        marks = iter(range(self.marked))
        for sequence in range(1, EVENTS_EACH + 1):
            for person in range(PERSONS):
                agency, fin = AGENCIES[person % len(AGENCIES)], f"{tag}{person:06d}"
                found = event(agency, f"{self.name}-{person}-{sequence}", fin, sequence)
                yield found
                if (sequence * PERSONS + person) % (PERSONS * EVENTS_EACH // DUPLICATES) == 0:
                    yield found
                if sequence > 10 and person % 7 == 0 and (mark := next(marks, None)) is not None:
                    yield event(agency, f"{self.name}-{MARK.decode()}-{mark}", fin, 999)

    def _send(self) -> None:
        began = time.monotonic()
        for number, planned in enumerate(self._plan):
            while (ahead := began + number / EVENTS_A_SECOND - time.monotonic()) > 0:
                self._producer.poll(ahead)
                if self._stop.is_set():
                    return
            given = {"id": planned.id, "sequence": str(planned.sequence)}
            self._producer.produce(
                f"in.{planned.agency}",
                planned.value,
                key=planned.fin.encode(),
                headers=headers(VETERAN, planned.agency, **given),
                on_delivery=self._taken(planned),
            )
        self._producer.flush(PATIENCE)

    def _taken(self, planned: Input) -> Callable[[Any, Message], None]:
        def delivered(error: Any, m: Message) -> None:
            if error:
                self._failed.append(error)
                return
            where = f"{m.topic()}/{m.partition()}/{m.offset()}"
            fields = {**planned.__dict__, "coordinates": where, "at": m.timestamp()[1]}
            self.inputs.append(Input(**fields))

        return delivered

    def in_flight(self, at: float) -> int:
        """How many inputs the broker had at that moment (Unix time), whose verdict came later."""
        decided = {coordinates: value["decided"] for coordinates, value in self.receipts}
        return sum(i.at <= at * 1000 < decided[i.coordinates] for i in self.inputs)


def exactly_once(load: Load) -> None:
    """Every input has one verdict, every event one effect, in order, whatever happened to the workers."""
    inputs = {i.coordinates: i for i in load.inputs}
    verdicts = Counter(coordinates for coordinates, _ in load.receipts)
    assert verdicts == Counter(inputs.keys()), "exactly one receipt for each input"
    by_verdict = Counter(value["verdict"] for _, value in load.receipts)
    marked = [i for i in load.inputs if MARK.decode() in i.id]
    distinct = {i.id: i for i in load.inputs if i not in marked}
    assert by_verdict["APPLIED"] == len(distinct) and by_verdict["REJECTED"] == len(marked)
    assert by_verdict["DUPLICATE"] == len(inputs) - len(distinct) - len(marked) >= DUPLICATES / 2
    _offered_once_in_order(load, distinct)
    _status_counts_each(load, distinct)
    assert _letters(load) == {i.coordinates: ("internal", i.value) for i in marked}


def _letters(load: Load) -> dict[str, tuple[str, bytes]]:
    """Code and value of the dead letters of this load, by the coordinates of their inputs."""
    inputs = {i.coordinates for i in load.inputs}
    messages = load.stage.read(*(f"dlq.{agency}" for agency in AGENCIES))
    letters = [load.stage.decode(message.value())[1] for message in messages]
    found = {"{origin_topic}/{origin_partition}/{origin_offset}".format(**each): each for each in letters}
    assert len(found) == len(letters), "each once"
    return {place: (each["code"], each["value"]) for place, each in found.items() if place in inputs}


def _offered_once_in_order(load: Load, distinct: Mapping[str, Input]) -> None:
    offered: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    seen: Counter[str] = Counter()
    partitions: dict[bytes, set[int]] = defaultdict(set)
    for message in load.stage.read(f"out.{RECEIVER}"):
        attributes = dict(message.headers() or ())
        origin = attributes["ce_originid"].decode()
        if origin.startswith(load.name):
            seen[origin] += 1
            key = message.key() or b""
            offered[key].append((int(attributes["ce_sequence"]), int(attributes["ce_statusversion"])))
            partitions[key].add(message.partition())
    assert seen == Counter(distinct.keys()), "each event once for the receiver"
    assert len(offered) == PERSONS and all(len(of) == 1 for of in partitions.values())
    expected = [(n, n) for n in range(1, EVENTS_EACH + 1)]
    assert all(pairs == expected for pairs in offered.values()), "in order, each with the version that it made"


def _status_counts_each(load: Load, distinct: Mapping[str, Input]) -> None:
    last = {m.key(): load.stage.decode(m.value())[1] for m in load.stage.read("status.person")}
    for fin, count in Counter(i.fin for i in distinct.values()).items():
        person = hmac.new(SECRET.encode(), fin.encode(), "sha256").hexdigest()[:32]
        status = last[person.encode()]
        assert (status["person_id"], status["version"]) == (person, count)
        starts = [i["from"] for facet in status["statuses"] for i in facet["intervals"]]
        assert starts == [20_000 + n for n in range(1, EVENTS_EACH + 1)]


def test_a_record_on_which_the_hub_fails_is_the_only_one_refused(stage: Stage) -> None:
    one, other = stage.workers()
    before = (one.process.pid, other.process.pid)
    with Load(stage, "marked", marked=5) as load:
        load.finished()
    exactly_once(load)
    assert (one.alive, other.alive) == (True, True) and before == (one.process.pid, other.process.pid)
    failed = [line for worker in (one, other) for line in worker.said("step failed")]
    assert len(failed) == 5 and {line["error"] for line in failed} == {"KeyError"}
    assert "somebody's value" not in json.dumps(failed)
    assert not [line for worker in (one, other) for line in worker.said("starting again")]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "kill") as load:
        load.reached(500)
        at = one.signal(signal.SIGKILL)
        again = stage.start()
        load.finished()
    assert load.in_flight(at) > 10, "the fault hit work in flight"
    exactly_once(load)
    until(lambda: stage.shared(other, again), "the new worker has its share")


def test_a_worker_frozen_past_its_session_comes_back_without_harm(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "freeze") as load:
        load.reached(500)
        at = one.signal(signal.SIGSTOP)
        try:
            until(lambda: len(other.numbers("ledger")) == len(other.numbers("gate")) == PARTITIONS, "taken over")
            frozen = time.time() - at
        finally:
            one.signal(signal.SIGCONT)
        load.finished()
        until(lambda: stage.shared(one, other), "it has its share again")
    assert frozen > SESSION / 2 and load.in_flight(at) > 10
    exactly_once(load)
    assert one.alive, "it came back in-process"


def test_a_worker_that_is_stopped_hands_over_at_once(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "stop") as load:
        load.reached(500)
        at = one.signal(signal.SIGTERM)
        code = one.process.wait(PATIENCE)
        members = [stage.members(lane) for lane in LANES]
        until(lambda: len(other.numbers("ledger")) == len(other.numbers("gate")) == PARTITIONS, "taken over")
        load.finished()
    assert code == 0
    assert members == [1, 1], "it has left its groups: nobody waits for a session to time out"
    assert load.in_flight(at) > 0
    exactly_once(load)


async def header_that_is_no_text(bootstrap: str, topic: str, partition: int) -> None:
    """A record whose header's name is not UTF-8: the broker takes it, Python's clients cannot read it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"v", headers=[("ABCD", b"x")])
    raw = bytearray(bytes(batch._build()).replace(b"ABCD", b"\xff\xfe\xfd\xfc"))
    struct.pack_into(">I", raw, 17, crc32c.crc32c(bytes(raw[21:])))
    batch._buffer = raw
    await (await producer.send_batch(batch, topic, partition=partition))
    await producer.stop()


def test_a_header_that_no_client_can_read_stops_nobody_else(stage: Stage) -> None:
    stage.workers()
    asyncio.run(header_that_is_no_text(stage.bootstrap, "in.asan", 1))
    with Load(stage, "unread") as load:
        load.finished()
    exactly_once(load)
