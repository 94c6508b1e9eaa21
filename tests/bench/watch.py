"""What a side does, seen from outside: records committed on a topic, CPU and memory from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

TICK = os.sysconf("SC_CLK_TCK")
POLL_SECONDS = 0.1


class Sample(NamedTuple):
    """One look: seconds, records committed, CPU seconds of the side and of the broker."""

    at: float
    done: int
    cpu: float
    broker_cpu: float


class Pace(NamedTuple):
    """Between two looks at which something had just been committed. CPU in µs an event."""

    events_per_second: float
    cpu_us: float
    broker_cpu_us: float


def committed(admin: AdminClient, topic: str, partitions: int) -> int:
    """Sum of the ends that a read-committed reader sees. Markers of transactions count too: some 1 in 1000 here."""
    spec = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}
    try:
        found = admin.list_offsets(spec, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=10)
        return sum(each.result(10).offset for each in found.values())
    except KafkaException:  # a topic just made anew: the client still knows the old one
        admin.list_topics(topic, timeout=10)
        return 0


def follow(
    look: Callable[[], int], until: int, pids: Sequence[int], broker: int, seconds: float, alive: Callable[[], bool]
) -> list[Sample]:
    """Samples until `until` is reached, the side has ended, or `seconds` have gone since the first record."""
    samples: list[Sample] = []
    began, limit = None, time.monotonic() + 120
    while time.monotonic() < limit and alive():
        sample = Sample(time.monotonic(), look(), sum(map(cpu_seconds, pids)), cpu_seconds(broker))
        samples.append(sample)
        if began is None and sample.done:
            began, limit = sample.at, sample.at + seconds
        if sample.done >= until:
            break
        time.sleep(POLL_SECONDS)
    return samples


def warm_pace(samples: Sequence[Sample], until: int, share: float) -> Pace:
    """The pace of the second half. `share`: input records for each record committed on the topic.

    Looks that saw no progress are left out: who commits every few seconds is measured from commit to commit.
    Raises `ValueError` where too little happened to say anything.
    """
    steps = [now for before, now in zip(samples, samples[1:]) if now.done > before.done]
    if len(steps) < 3:
        raise ValueError(f"only {len(steps)} commits were seen")
    half = min(until, steps[-1].done) / 2
    first = next(step for step in steps if step.done >= half)
    last = steps[-1]
    if last.at - first.at < POLL_SECONDS:
        raise ValueError("it was over before it could be measured")
    done, wall = (last.done - first.done) * share, last.at - first.at
    return Pace(
        done / wall,
        (last.cpu - first.cpu) / done * 1e6,
        (last.broker_cpu - first.broker_cpu) / done * 1e6,
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mib(pid: int, name: str = "VmHWM") -> float:
    """Peak (`VmHWM`) or present (`VmRSS`) memory of a process; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)
