"""Every topic of the catalogue, made once, on both brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from archive import PATIENCE, Archive
from brokers import make_topic, require_apache
from confluent_kafka import Producer
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import ClusterAuthorizationFailedError, KafkaTimeoutError, NotControllerError

from hub.admin import copies
from hub.admin.copies import more_copies, spread
from hub.admin.retention import DAY, FOREVER, longest, milliseconds
from hub.admin.topics import Found, TopicSpec, apply, compare, plan_for, wanted
from hub.admin.unread import Left, still_needed, unread
from hub.admin.wanted import PARTITIONS as BY_DEFAULT
from hub.catalogue import Catalogue, load
from hub.clock import now_ms
from hub.errors import ConfigError
from hub.kafka.clients import admin, consumer, producer
from hub.kafka.cluster import Cluster
from hub.kafka.connection import Connection

PARTITIONS = 2
Name = Callable[[str], str]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture(scope="module")
def specs(catalogue: Catalogue) -> dict[str, TopicSpec]:
    return wanted(catalogue, PARTITIONS)


@contextmanager
def without(broker: Connection, topics: Iterable[str]) -> Iterator[None]:
    """None of the topics is there before, nor after: other tests of the run make some of the same names."""
    names = set(topics)
    delete(broker, names)
    try:
        yield
    finally:
        delete(broker, names)


def delete(broker: Connection, names: set[str]) -> None:
    with admin(broker) as client:
        there = sorted(names & set(client.list_topics()))
        if there:
            client.delete_topics(there)


def test_every_agency_has_its_four_topics_and_every_stream_its_own(
    catalogue: Catalogue, specs: dict[str, TopicSpec]
) -> None:
    agencies = {f"{kind}.{code}" for kind in ("in", "out", "receipts", "dlq") for code in catalogue.agencies}
    streams = {f"events.{code}" for code in catalogue.streams}
    hub = {"state.ledger", "state.hub", "status.person", "activity", "audit", "_schemas"}
    assert set(specs) == agencies | streams | hub


def test_the_lanes_topics_have_the_same_number_of_partitions(specs: dict[str, TopicSpec]) -> None:
    assert {spec.partitions for name, spec in specs.items() if name != "_schemas"} == {PARTITIONS}
    assert specs["_schemas"].partitions == 1


def test_the_log_of_schemas_says_nothing_of_how_many_the_others_have(broker: Connection, catalogue: Catalogue) -> None:
    """A registry that was started first has made it, with its one partition."""
    with without(broker, wanted(catalogue)):
        make_topic(broker, "_schemas", 1)
        assert {spec.partitions for spec in plan_for(broker, catalogue, None, 1).create} == {BY_DEFAULT}


def test_limits_are_those_of_the_contract(specs: dict[str, TopicSpec]) -> None:
    inbound, dead = specs["in.mod"].configs, specs["dlq.mod"].configs
    assert inbound["max.message.bytes"] == str(2 << 20)
    assert inbound["compression.type"] == "uncompressed"
    assert dead["max.message.bytes"] == str(4 << 20)
    compacted = {name for name, spec in specs.items() if spec.configs.get("cleanup.policy") == "compact"}
    assert compacted == {"state.ledger", "state.hub", "status.person", "_schemas"}


def test_how_long_a_record_is_kept_is_no_matter_of_anybodys_clock(specs: dict[str, TopicSpec]) -> None:
    """A worker's whose clock is a month slow, any more than a publisher's."""
    assert {spec.configs["message.timestamp.type"] for spec in specs.values()} == {"LogAppendTime"}


def test_events_are_kept_as_long_as_the_longest_of_their_types(
    catalogue: Catalogue, specs: dict[str, TopicSpec]
) -> None:
    for type in catalogue.types.values():
        kept = int(specs[f"events.{type.stream}"].configs["retention.ms"])
        assert kept == FOREVER or kept >= milliseconds(type.retention) > 0


def test_production_has_three_copies_of_which_two_must_be_there(catalogue: Catalogue) -> None:
    for spec in wanted(catalogue, 12, replicas=3).values():
        assert (spec.replicas, spec.configs["min.insync.replicas"]) == (3, "2")


def test_where_a_node_may_be_lost_topics_have_copies_or_get_them_when_somebody_says_so(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """Until then nothing is asked of them that they cannot give: a broker before 3.7 would take no record. Nor does a
    node that is away make them fewer."""
    require_apache()
    kept = ("in.mod", "status.person", "_schemas")
    with (cluster := Cluster(tmp_path)) as connection:
        found = plan_for(connection, catalogue, PARTITIONS, None)
        assert {(spec.replicas, spec.configs["min.insync.replicas"]) for spec in found.create} == {(3, "2")}
        some = plan_for(connection, catalogue, PARTITIONS, 1)
        few = (replace(s, configs=s.configs | {"min.insync.replicas": "1"}) for s in some.create if s.name in kept)
        apply(connection, replace(some, create=tuple(few)))
        kept_before = {b"%d" % number for number in range(20)}
        producer = Producer({"bootstrap.servers": connection.bootstrap})
        for value in kept_before:
            producer.produce("in.mod", value)
        assert producer.flush(PATIENCE) == 0
        found = plan_for(connection, catalogue, None, 3)
        assert set(found.copies) == set(kept) and not found.alter
        told = list[tuple[int, int]]()
        more_copies(connection, found.copies, lambda done, of: told.append((done, of)))
        assert told[-1] == (2 * PARTITIONS + 1, 2 * PARTITIONS + 1)
        found = plan_for(connection, catalogue, None, None)
        assert not found.copies and {change.what for change in found.alter} == {"min.insync.replicas"}
        assert apply(connection, replace(found, create=())) == ()
        assert set(plan_for(connection, catalogue, None, None).unchanged) == set(kept)
        assert {message.value() for message in Archive(connection.bootstrap).read("in.mod")} == kept_before
        more_copies(connection, dict.fromkeys(kept, 3))  # nothing to do
        cluster.stop_node(3)
        later = plan_for(connection, catalogue, None, None)
        assert {spec.replicas for spec in later.create} == {3} and not later.drift
        assert {spec.partitions for spec in later.create} == {PARTITIONS}


def test_a_copy_goes_to_where_there_are_fewest() -> None:
    found = {TopicPartition("a", 0): [1], TopicPartition("a", 1): [2, 1], TopicPartition("b", 0): [3, 2, 1]}
    wanted = {"a": 3, "b": 3}
    assert spread(found, wanted, [1, 2, 3, 4]) == {
        TopicPartition("a", 0): [1, 4, 3],
        TopicPartition("a", 1): [2, 1, 4],
    }
    with pytest.raises(ConfigError, match="a is to have 3 copies, and 2 nodes answer"):
        spread(found, wanted, [1, 2])


def test_an_error_is_not_taken_for_nothing_being_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LOOK_AGAIN_SECONDS", 0)
    moving = {TopicPartition("a", 0): {"adding_replicas": [2, 3]}}
    client = mock.Mock()
    client.list_partition_reassignments.side_effect = [KafkaTimeoutError(), NotControllerError(), moving]
    assert copies.being_copied(client) == {TopicPartition("a", 0): 2}
    client.list_partition_reassignments.side_effect = ClusterAuthorizationFailedError
    with pytest.raises(ConfigError, match="the right to Describe"):
        copies.being_copied(client)


def test_one_node_has_one_copy(broker: Connection, catalogue: Catalogue) -> None:
    assert {spec.replicas for spec in plan_for(broker, catalogue, PARTITIONS, None).create} <= {1}


def test_applying_twice_changes_nothing(broker: Connection, catalogue: Catalogue) -> None:
    specs = wanted(catalogue, 1)  # Apache Kafka makes some 150 partitions a second
    with without(broker, specs):
        first = plan_for(broker, catalogue, 1, None)
        assert {spec.name for spec in first.create} == set(specs)
        assert apply(broker, first) == ()
        second = plan_for(broker, catalogue, None, None)
        assert second.empty
        assert set(second.unchanged) == set(specs)
        assert (second.drift, second.notes) == ((), ())
        assert apply(broker, first) == ()  # an old plan, or somebody else at the same time


def test_what_differs_is_altered_or_reported(
    broker: Connection, catalogue: Catalogue, specs: dict[str, TopicSpec]
) -> None:
    with without(broker, [*specs, "of-somebody-else"]):
        make_topic(broker, "of-somebody-else")
        make_topic(broker, "in.mod", PARTITIONS, retention_ms="1000")
        make_topic(broker, "audit", 1, retention_ms="-1")
        found = plan_for(broker, catalogue, PARTITIONS, None)
        changes = {(change.topic, change.what) for change in found.alter}
        assert changes >= {("in.mod", what) for what in specs["in.mod"].configs}
        assert {topic for topic, _ in changes} == {"in.mod", "audit"}
        assert [str(change) for change in found.drift] == ["audit: number of partitions is 1, wanted 2"]
        assert "of-somebody-else" in found.foreign
        assert apply(broker, replace(found, create=())) == ()
        assert not plan_for(broker, catalogue, PARTITIONS, None).alter


@pytest.mark.parametrize(
    ("found", "wanted", "deletes"),
    [("-1", "1000", True), ("2000", "1000", True), ("1000", "2000", False), ("1000", "-1", False)],
)
def test_nothing_is_kept_for_less_long_unless_somebody_says_so(found: str, wanted: str, deletes: bool) -> None:
    spec = TopicSpec("in.mod", 4, 1, {"retention.ms": wanted})
    plan = compare({"in.mod": spec}, {"in.mod": Found(4, 1, {"retention.ms": found})})
    assert (len(plan.alter), len(plan.shorter)) == ((0, 1) if deletes else (1, 0))
    assert len(plan.shortened(()).alter) == 1 and not plan.unchanged
    assert replace(plan.shortened({"in.mod"}), drift=()) == plan


def written(broker: Connection, *topics: str) -> None:
    """Three records each, some time ago."""
    with producer(broker) as client:
        for topic in topics:
            make_topic(broker, topic)
            for value in (b"1", b"2", b"3"):
                at = client.send(topic, value).get(timeout=10).timestamp
    assert at
    while now_ms() <= at:
        pass


def committed(broker: Connection, group: str, offsets: Mapping[str, int]) -> None:
    with consumer(broker, group=group) as client:
        read = {TopicPartition(topic, 0): OffsetAndMetadata(at, "", -1) for topic, at in offsets.items()}
        client.assign(list(read))
        client.commit(read)


def test_what_nobody_reads_any_more_is_named(broker: Connection, name: Name) -> None:
    """The agency was taken out of the catalogue while records of it waited."""
    hub, left, done, never = (name(prefix) for prefix in ("hub", "in.left", "in.done", "in.never"))
    written(broker, left, done, never)
    committed(broker, f"{hub}.gate", {left: 1, done: 3})
    found = unread(broker, hub, [left, done, never, "out.left", "events.never"])
    assert found == {left: Left(2, known=True), never: Left(3, known=False)}


def test_what_is_to_be_deleted_is_to_be_read_before(broker: Connection, name: Name) -> None:
    hub, one, other, never = (name(prefix) for prefix in ("hub", "in.one", "in.other", "in.never"))
    written(broker, one, other, never)
    committed(broker, f"{hub}.gate", {one: 2, other: 3})
    assert still_needed(broker, hub, dict.fromkeys((one, other, never, "out.one", "in.gone"), 0)) == {one, never}
    assert not still_needed(broker, hub, dict.fromkeys((one, other, never), DAY)), "nothing of it is as old"


def test_a_refused_topic_is_named_with_the_reason(broker: Connection, catalogue: Catalogue) -> None:
    impossible = TopicSpec("impossible", 1, 3, {})
    with pytest.raises(ConfigError, match=r"impossible: .*replication factor"):
        apply(broker, replace(plan_for(broker, catalogue, PARTITIONS, 1), create=(impossible,), alter=()))


def test_a_broker_that_does_not_tell_its_configuration_is_noted() -> None:
    spec = TopicSpec("in.mod", 4, 1, {"retention.ms": "1000"})
    found = compare({"in.mod": spec}, {"in.mod": Found(4, 1, None)})
    assert found.empty
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("forever", FOREVER),
        ("P30D", 30 * DAY),
        ("P2W", 14 * DAY),
        ("P1Y1M", 397 * DAY),
        ("P75Y", 27450 * DAY),
    ],
)
def test_a_retention_is_never_shorter_than_its_calendar(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "P", "75Y", "PT1H", "P1.5Y", "P-1D", "for ever"])
def test_what_is_no_retention_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="ISO 8601"):
        milliseconds(text)


def test_the_longest_retention_wins_and_none_means_forever() -> None:
    assert longest(["P1D", "P2D"]) == 2 * DAY
    assert longest(["P1D", "forever"]) == FOREVER
    assert longest([]) == FOREVER
