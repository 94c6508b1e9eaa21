"""What topics hold, read with a client that the hub does not use."""

from __future__ import annotations

import time
from collections import defaultdict

from confluent_kafka import Consumer, Message, TopicPartition

PATIENCE = 60.0

Place = tuple[str, int]


def reader(bootstrap: str) -> Consumer:
    """Of committed records, without a group; it says when a partition is at its end."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,  # at the end of a partition Apache Kafka waits so long before it says so
            "log_level": 0,
        }
    )


class Archive:
    """What was read is kept: to look again reads only what has come since. Used by one thread at a time."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = reader(bootstrap)
        self._partitions: dict[str, list[int]] = {}
        self._kept: dict[Place, list[Message]] = defaultdict(list)

    def read(self, *topics: str) -> list[Message]:
        """All that was ever committed in these topics, in order within each partition."""
        if not set(topics) <= self._partitions.keys():
            found = self._consumer.list_topics(timeout=10).topics
            self._partitions = {topic: sorted(each.partitions) for topic, each in found.items()}
        places = [(topic, partition) for topic in topics for partition in self._partitions[topic]]
        self._consumer.assign([TopicPartition(*place, self._next(place)) for place in places])
        ended: set[Place] = set()
        deadline = time.monotonic() + PATIENCE
        while len(ended) < len(places):
            assert time.monotonic() < deadline, f"{topics[0]}… could not be read to its end"
            for message in self._consumer.consume(1000, 0.02):
                place = message.topic() or "", message.partition() or 0
                if message.error():
                    ended.add(place)
                else:
                    self._kept[place].append(message)
        self._consumer.unassign()
        return [message for place in places for message in self._kept[place]]

    def _next(self, place: Place) -> int:
        kept = self._kept[place]
        return (kept[-1].offset() or 0) + 1 if kept else 0
