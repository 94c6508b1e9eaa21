"""The topics of a broker made those of the catalogue: `wanted` → `plan_for` (what differs) → `apply`.

Nothing is deleted, no record kept for less long, and no number of partitions or copies changed: the first would lose or
reorder events, the last has everything copied. A difference there is reported for a person to decide (`Plan.shorter`,
`hub.admin.copies`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from hub.admin.copies import being_copied, complete
from hub.admin.pauses import pauses
from hub.admin.retention import FOREVER
from hub.admin.wanted import MUST_HAVE, PARTITIONS, RETENTION, TopicSpec, wanted
from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.kafka.clients import admin
from hub.kafka.connection import Connection
from hub.pipeline.pause import TOPIC as NOTES
from hub.registry.schemas import TOPIC

__all__ = ["Change", "Found", "Plan", "TopicSpec", "apply", "compare", "lane_partitions", "plan_for", "wanted"]

# One request creates at most this many: the controller writes all records of a request in one batch of 10 000.
AT_ONCE = 100
# Apache Kafka opens some 150 partitions a second when they are new (each is made safe on the disk).
READY_MS = 120_000
SAFE = 3
"""Copies of a partition, two of which must have a record before it is acknowledged: one may be lost."""
LOOK_AGAIN_SECONDS = 0.2

Configs = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A property of a topic that is not as it should be; `found` is None where the broker has none."""

    topic: str
    what: str
    found: str | None
    wanted: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`create` and `alter` are what `apply` does; `drift` and `foreign` topics are only reported. `shorter`: those that
    would keep records for less long. `copies`: those with fewer copies than wanted, and how many are wanted
    (`hub.admin.copies`)."""

    create: tuple[TopicSpec, ...]
    alter: tuple[Change, ...]
    shorter: tuple[Change, ...]
    drift: tuple[Change, ...]
    copies: Mapping[str, int]
    foreign: tuple[str, ...]
    unchanged: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.create and not self.alter

    def only(self, topic: str) -> Plan:
        """What is to be altered of one topic."""
        return replace(self, create=(), alter=tuple(change for change in self.alter if change.topic == topic))

    def shortened(self, needed: Collection[str]) -> Plan:
        """With the records that are older than they should be deleted, but of the topics that are `needed`."""
        shorter = tuple(change for change in self.shorter if change.topic not in needed)
        left = tuple(change for change in self.shorter if change.topic in needed)
        return replace(self, alter=self.alter + shorter, shorter=left)


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it; `configs` in effect, None when the broker does not tell."""

    partitions: int
    replicas: int
    configs: Configs | None


def plan_for(connection: Connection, catalogue: Catalogue, partitions: int | None, replicas: int | None) -> Plan:
    """Compare with the topics of a catalogue. `partitions` None: as those have that are there, else `PARTITIONS`;
    `replicas` None: so many that a node may be lost, where that can be. Changes nothing; raises `ConfigError` when the
    broker cannot be reached."""
    with admin(connection) as client:
        names = wanted(catalogue)
        found = _found(client, names)
        there = {name: found[name] for name in names if name in found}
        lanes = (topic.partitions for name, topic in there.items() if name != TOPIC)
        partitions = partitions or max(lanes, default=PARTITIONS)
        replicas = replicas or _replicas(client, there.values())
    paused = pauses(connection) if NOTES in found else {}
    return compare(wanted(catalogue, partitions, replicas, paused), found)


def _replicas(client: KafkaAdminClient, there: Iterable[Found]) -> int:
    """While a node is away the broker does not count it: then what is there already says how many there are to be."""
    return max([SAFE if _nodes(client) >= SAFE else 1, *(topic.replicas for topic in there)])


def _nodes(client: KafkaAdminClient) -> int:
    """kafka-python reads what Kafka 3.7 and later answer; the embedded broker, which is one, answers as older ones."""
    try:
        return len(client.describe_cluster()["brokers"])
    except KeyError:
        return 1


def compare(specs: Mapping[str, TopicSpec], found: Mapping[str, Found]) -> Plan:
    there = [(spec, found[name]) for name, spec in specs.items() if name in found]
    configs = [change for spec, topic in there for change in _config_changes(spec, topic)]
    shorter = [change for change in configs if _shorter(change)]
    alter = [change for change in configs if change not in shorter]
    drift = [change for spec, topic in there for change in _shape_changes(spec, topic)]
    changed = {change.topic for change in (*configs, *drift)}
    unread = [spec.name for spec, topic in there if topic.configs is None]
    return Plan(
        create=tuple(spec for name, spec in specs.items() if name not in found),
        alter=tuple(alter),
        shorter=tuple(shorter),
        drift=tuple(drift),
        copies={spec.name: spec.replicas for spec, topic in there if topic.replicas < spec.replicas},
        foreign=tuple(sorted(name for name in found if name not in specs)),
        unchanged=tuple(spec.name for spec, _ in there if spec.name not in changed),
        notes=tuple(_unread_note(unread)),
    )


def lane_partitions(connection: Connection, specs: Mapping[str, TopicSpec]) -> int:
    """How many partitions the lanes' topics have on the broker; the broker decides, once they are made.

    Raises `ConfigError` where a topic is missing or has another number: persons would be split over workers.
    """
    with admin(connection) as client:
        found = _found(client, ())
    lanes = [name for name in specs if name != TOPIC]
    missing = [name for name in lanes if name not in found]
    if missing:
        raise ConfigError(f"{len(missing)} topics are missing ({missing[0]}…): `hub topics apply` makes them")
    counts = Counter(found[name].partitions for name in lanes)
    if len(counts) > 1:
        odd = next(name for name in lanes if found[name].partitions != counts.most_common(1)[0][0])
        raise ConfigError(
            f"{odd} has {found[odd].partitions} partitions, the others have {max(counts)}: see `hub topics plan`"
        )
    return next(iter(counts))


def apply(connection: Connection, plan: Plan) -> tuple[str, ...]:
    """Do it, and return once every new partition answers. Notes say what the broker could not do.

    Raises `ConfigError` naming each topic that the broker refused. Doing it twice, or two at a time, is harmless.
    """
    with admin(connection) as client:
        for first in range(0, len(plan.create), AT_ONCE):
            _create(client, plan.create[first : first + AT_ONCE])
        _wait(client, plan.create)
        return plan.notes + tuple(_alter(client, plan.alter))


def _config_changes(spec: TopicSpec, topic: Found) -> Iterator[Change]:
    for name, value in spec.configs.items():
        if name == MUST_HAVE and topic.replicas < spec.replicas:
            continue  # first the copies: Kafka before 3.7 takes no record that cannot have as many
        if topic.configs is not None and topic.configs.get(name) != value:
            yield Change(spec.name, name, topic.configs.get(name), value)


def _shorter(change: Change) -> bool:
    """Whether records that are kept now would be deleted."""
    if change.what != RETENTION or change.found is None:
        return False
    found, wanted = int(change.found), int(change.wanted)
    return wanted != FOREVER and (found == FOREVER or wanted < found)


def _shape_changes(spec: TopicSpec, topic: Found) -> Iterator[Change]:
    if topic.partitions != spec.partitions:
        yield Change(spec.name, "number of partitions", str(topic.partitions), str(spec.partitions))
    if topic.replicas != spec.replicas:
        yield Change(spec.name, "replication factor", str(topic.replicas), str(spec.replicas))


def _unread_note(topics: list[str]) -> Iterator[str]:
    if topics:
        yield f"the broker does not tell the configuration of {len(topics)} topics ({topics[0]}…): not compared"


def _found(client: KafkaAdminClient, names: Collection[str]) -> dict[str, Found]:
    topics = {topic["name"]: topic for topic in client.describe_topics() if not _internal(topic)}
    configs = _configs(client, [name for name in names if name in topics])
    coming = being_copied(client) if names else {}  # a copy counts once it is complete
    return {name: _one(topic, configs.get(name), coming) for name, topic in topics.items()}


def _internal(topic: dict[str, Any]) -> bool:
    return bool(topic["is_internal"]) or topic["name"].startswith("__")


def _one(topic: dict[str, Any], configs: Configs | None, coming: Mapping[TopicPartition, int]) -> Found:
    copies = complete(topic, coming)
    return Found(len(copies), min(map(len, copies.values()), default=0), configs)


def _configs(client: KafkaAdminClient, topics: list[str]) -> dict[str, Configs]:
    """Of each topic all values in effect; a topic is missing when the broker refuses to tell (no rights, too old)."""
    if not topics:
        return {}
    asked = [ConfigResource("TOPIC", topic) for topic in topics]
    try:
        answer = client.describe_configs(asked, config_filter="all").get("topic", {})
    except KafkaError:
        return {}
    return {
        name: {key: entry["value"] for key, entry in all_of_it.items()}
        for name, all_of_it in answer.items()
        if all_of_it
    }


def _create(client: KafkaAdminClient, specs: Iterable[TopicSpec]) -> None:
    asked = {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replicas,
            "configs": dict(spec.configs),
        }
        for spec in specs
    }
    answer = client.create_topics(asked, raise_errors=False)
    refused = [topic for topic in answer["topics"] if for_code(topic["error_code"]) not in _FINE]
    if refused:
        reasons = "\n".join(f"    {topic['name']}: {topic['error_message']}" for topic in refused)
        raise ConfigError(f"the broker refused to create {len(refused)} topics:\n{reasons}")


_FINE = (for_code(0), TopicAlreadyExistsError)  # somebody else applied at the same time


def _wait(client: KafkaAdminClient, specs: Iterable[TopicSpec]) -> None:
    """Until each partition's leader answers: that a topic is in the metadata does not say that it can be used."""
    specs = list(specs)
    if specs:
        client.wait_for_topics([spec.name for spec in specs], timeout_ms=READY_MS)
        parts = {TopicPartition(spec.name, i): OffsetSpec.LATEST for spec in specs for i in range(spec.partitions)}
        deadline = time.monotonic() + READY_MS / 1000
        while not _answered(client, parts) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)


def _answered(client: KafkaAdminClient, parts: dict[TopicPartition, OffsetSpec]) -> bool:
    """Of several brokers each hears of a new topic in its own time."""
    try:
        client.list_partition_offsets(parts, timeout_ms=READY_MS)
    except KafkaError as error:
        if not error.retriable:
            raise
        return False
    return True


def _alter(client: KafkaAdminClient, changes: Iterable[Change]) -> Iterator[str]:
    by_topic: dict[str, dict[str, str]] = {}
    for change in changes:
        by_topic.setdefault(change.topic, {})[change.what] = change.wanted
    if not by_topic:
        return
    asked = [ConfigResource("TOPIC", topic, configs) for topic, configs in by_topic.items()]
    try:
        answer = client.alter_configs(asked, raise_on_unknown=False)["topic"]
    except KafkaError as error:
        yield f"the broker cannot alter topics ({error}): {', '.join(by_topic)} stay as they are"
        return
    yield from (f"{topic} stays as it is: {result}" for topic, result in answer.items() if result != "OK")
