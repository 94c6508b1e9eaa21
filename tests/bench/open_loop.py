"""Open-loop load: event `n` is due at `start + n / rate`, whatever became of those before it.

A program of its own: `open_loop.py BOOTSTRAP TOPIC AGENCY SCHEMA_ID RATE FIRST COUNT START PERSONS`; prints how late it
ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.events import events
from confluent_kafka import Producer

TICK_SECONDS = 0.002


def main() -> None:
    bootstrap, topic, agency, *numbers = sys.argv[1:]
    schema_id, rate, first, count = int(numbers[0]), float(numbers[1]), int(numbers[2]), int(numbers[3])
    start = float(numbers[4])
    ready = list(_once(first, count, schema_id, agency, int(numbers[5])))
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 1})
    producer.list_topics(topic, timeout=10)
    sent = 0
    while sent < count:
        due = min(count, int((time.time() - start) * rate) + 1) if time.time() >= start else 0
        for event in ready[sent:due]:
            producer.produce(topic, event.value, event.key, headers=event.headers)
        sent = max(sent, due)
        producer.poll(0)
        time.sleep(TICK_SECONDS)
    late = time.time() - (start + (count - 1) / rate)
    producer.flush()
    print(f"{late:.4f}")


def _once(first: int, count: int, schema_id: int, agency: str, persons: int):
    """Events without the resent ones: a repeat has no latency."""
    seen = first - 1
    for event in events(count, schema_id, persons, first, agency):
        number = int(dict(event.headers)["ce_id"][:8])
        if number > seen:
            seen = number
            yield event


if __name__ == "__main__":
    main()
