"""A steady load on the workers of a `Stage`, and what must have become of it, whatever happened to them.

What became of each input is read from the topics with Confluent's client; nothing that the workers count is believed.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import Message, Producer, TopicPartition
from workers import AGENCIES, MARK, PARTITIONS, PATIENCE, SECRET, Input, Stage, until
from world import VETERAN, headers

RECEIVER = "zefer"
PERSONS, EVENTS_EACH, EVENTS_A_SECOND = 90, 40, 1000
DUPLICATES = 100


@dataclass
class Load:
    """Events of persons of its own, sent at a steady rate by a thread; and the receipts that came so far.

    Each person's events are in order of their sequence; some are sent twice; `marked` ones the gate cannot take.
    """

    stage: Stage
    name: str
    marked: int = 0
    rate: int = EVENTS_A_SECOND
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
        until(lambda: self.sent == len(self._plan) or self._failed, "all sent", PATIENCE + len(self._plan) / self.rate)
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
            while (ahead := began + number / self.rate - time.monotonic()) > 0:
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
