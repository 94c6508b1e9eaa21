"""The group hands out partition numbers: each to one member, over the topics that all members know."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from hub.engine.assignor import Numbers

TOPICS = [f"in.agency-{n}" for n in range(6)]
Held = Mapping[str, Mapping[str, Sequence[int]]]


@dataclass(frozen=True)
class Cluster:
    """As aiokafka's metadata: the partitions of a topic, None where it is not known yet."""

    partitions: int
    known: frozenset[str]

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.partitions)) if topic in self.known else None


def assigned(cluster: Cluster, subscriptions: Mapping[str, Sequence[str]]) -> Held:
    """Member → topic → numbers; what goes over the wire is read as the members read it."""
    members = {member: Numbers.metadata(topics) for member, topics in subscriptions.items()}
    sent = {m: data.encode() for m, data in Numbers.assign(cluster, members).items()}
    return {m: dict(ConsumerProtocolMemberAssignment.decode(data).assignment) for m, data in sent.items()}


def numbers(held: Mapping[str, Sequence[int]]) -> set[int]:
    return {number for of_topic in held.values() for number in of_topic}


topics = st.lists(st.sampled_from(TOPICS), unique=True, min_size=1)
groups = st.dictionaries(st.text("abcdef0123456789", min_size=1, max_size=6), topics, min_size=1, max_size=8)
clusters = st.builds(Cluster, st.integers(1, 24), st.just(frozenset(TOPICS)))


@given(clusters, groups)
def test_each_number_of_a_shared_topic_has_exactly_one_member(cluster: Cluster, group: dict[str, list[str]]) -> None:
    held = assigned(cluster, group)
    assert set(held) == set(group), "every member is answered, also one that gets nothing"
    given_out = Counter((t, n) for of in held.values() for t, ns in of.items() for n in ns)
    shared = set.intersection(*map(set, group.values()))
    assert given_out == Counter((topic, n) for topic in shared for n in range(cluster.partitions))


@given(clusters, groups)
def test_a_number_of_all_topics_is_one_members(cluster: Cluster, group: dict[str, list[str]]) -> None:
    owner: dict[int, set[str]] = defaultdict(set)
    for member, held in assigned(cluster, group).items():
        assert len({tuple(of_topic) for of_topic in held.values()}) <= 1, "the same numbers of every topic"
        for number in numbers(held):
            owner[number].add(member)
    assert all(len(members) == 1 for members in owner.values())


@given(clusters, groups)
def test_members_hold_as_many_numbers_as_each_other_or_one_more(cluster: Cluster, group: dict[str, list[str]]) -> None:
    counts = [len(numbers(held)) for held in assigned(cluster, group).values()]
    assert max(counts) - min(counts) <= 1


@given(clusters, groups, st.randoms(use_true_random=False))
def test_it_does_not_matter_in_which_order_members_are_told(cluster: Cluster, group, random) -> None:
    shuffled = list(group.items())
    random.shuffle(shuffled)
    assert assigned(cluster, group) == assigned(cluster, dict(shuffled))


def test_while_a_topic_is_added_only_what_all_know_is_shared_out() -> None:
    """One worker knows a new agency already: nobody reads it until the other knows it too."""
    cluster = Cluster(4, frozenset(TOPICS))
    held = assigned(cluster, {"old": TOPICS[:2], "new": TOPICS[:3]})
    assert all(set(of) == set(TOPICS[:2]) for of in held.values())
    assert sorted(map(sorted, map(numbers, held.values()))) == [[0, 1], [2, 3]]


def test_a_topic_that_the_cluster_does_not_know_yet_is_left_out() -> None:
    held = assigned(Cluster(4, frozenset(TOPICS[:1])), {"a": TOPICS[:2]})
    assert held == {"a": {TOPICS[0]: [0, 1, 2, 3]}}


def test_what_a_member_says_of_itself_survives_the_wire() -> None:
    data = ConsumerProtocolMemberMetadata.decode(Numbers.metadata(TOPICS).encode())
    assert data.subscription == TOPICS
