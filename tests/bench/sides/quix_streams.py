"""Quix Streams: two hops in one application, exactly once, state in RocksDB with its changelog."""

from __future__ import annotations

import os
from typing import Any

from job import BOOTSTRAP, EVENTS, GROUP, IN, ONE, STATUS, TWO, job, person_id
from quixstreams import Application
from quixstreams.models import TopicConfig

JOB = job()
COMMIT_SECONDS = 0.5
RAW = {"key_serializer": "bytes", "value_serializer": "bytes"}


def is_sound(value: bytes) -> bool:
    return JOB.check(value) is not None


def person_of(value: bytes) -> bytes:
    return person_id(JOB.decode(value)["fin"]).encode()


def apply(value: bytes, key: Any, timestamp: Any, headers: Any, state: Any) -> list[tuple[str, bytes]]:
    """What goes out; nothing for a repeat. The state of a key is that person's."""
    event = JOB.decode(value)
    assert event is not None
    seen = state.get("seen", [])
    if event["event_id"] in seen:
        return []
    state.set("seen", [*seen, event["event_id"]])
    decision = [event[name] for name in ("effective", "seq", "event_id", "status", "percent", "certificate")]
    latest = max(state.get("latest", [-1, -1, ""]), decision)
    state.set("latest", latest)
    one, two = JOB.project(event)
    status = JOB.status_of(key.decode(), len(seen) + 1, latest)
    return [("one", one), ("two", two), ("status", status)]


def main() -> None:
    app = Application(
        broker_address=BOOTSTRAP,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        state_dir=os.environ["BENCH_FOLDER"],
        auto_create_topics=True,  # its changelog
        loglevel="ERROR",
    )
    four = TopicConfig(num_partitions=4, replication_factor=1)
    read = {"key_deserializer": "bytes", "value_deserializer": "bytes", "config": four}
    passed = app.topic(EVENTS, **read, **RAW)
    outs = {
        name: app.topic(topic, config=four, **RAW) for name, topic in (("one", ONE), ("two", TWO), ("status", STATUS))
    }

    gate = app.dataframe(app.topic(IN, **read))
    gate = gate.filter(is_sound)
    gate.to_topic(passed, key=person_of)

    ledger = app.dataframe(passed).apply(apply, stateful=True, expand=True, metadata=True)
    for name, topic in outs.items():
        part = ledger[ledger.apply(lambda out, name=name: out[0] == name)].apply(lambda out: out[1])
        part.to_topic(topic)
    app.run()


if __name__ == "__main__":
    main()
