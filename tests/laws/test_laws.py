"""The laws of the pipeline, for any events in any order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from world import VETERAN, Memory, Rec, catalogue, event, unpack

from hub.event import Outcome
from hub.pipeline import restore

CORRECTED = "az.zefer.veteran.VeteranStatusCorrected"
ENDED = "az.zefer.veteran.VeteranStatusEnded"
ANNULLED = "az.zefer.disability.DeterminationAnnulled"
DETERMINED = "az.zefer.disability.DisabilityDetermined"
REQUESTED = "az.zefer.service.ServiceRequested"
DAYS = st.integers(19_990, 20_010)
DOCUMENTS = st.sampled_from(["D-0001", "D-0002", "D-0003"])


def when(second: int) -> str:
    return (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=second)).isoformat()


@st.composite
def events(draw: st.DrawFn) -> list[Rec]:
    """Distinct identities about few persons, close in time, so that they meet."""
    count = draw(st.integers(1, 8))
    return [draw(one(number)) for number in range(count)]


@st.composite
def one(draw: st.DrawFn, number: int) -> Rec:
    kind = draw(st.sampled_from([VETERAN, VETERAN, CORRECTED, ENDED, DETERMINED, ANNULLED, REQUESTED]))
    given: dict[str, Any] = {}
    if kind != REQUESTED:
        given["fin"] = draw(st.sampled_from(["AAAAAAA", "BBBBBBB"]))
    of = catalogue().types[kind]
    if of.status is not None:
        given[of.status.effective] = effective = draw(DAYS)
        if of.status.until:
            given[of.status.until] = draw(st.none() | st.integers(effective + 1, effective + 15))
        if of.status.document:
            given[of.status.document] = draw(DOCUMENTS)
        if of.status.voids:
            given[of.status.voids] = draw(DOCUMENTS)
    attributes = {"id": f"e-{number}", "time": when(draw(st.integers(0, 3)))}
    if draw(st.booleans()):
        attributes["sequence"] = str(draw(st.integers(0, 5)))
    return event(kind, attributes=attributes, **given)


def statuses(memory: Memory) -> dict[bytes, bytes]:
    """The last status of each person, as the compacted topic keeps it."""
    return {record.key or b"": record.value or b"" for record in memory.all("status.person")}


def grouped(records: list[Rec], sizes: list[int]) -> list[list[Rec]]:
    groups, at = [], 0
    for size in sizes:
        groups.append(records[at : at + size])
        at += size
    return [group for group in [*groups, records[at:]] if group]


def carry_in_groups(records: list[Rec], sizes: list[int]) -> Memory:
    memory = Memory()
    for group in grouped(records, sizes):
        passed = memory.pass_gate([memory.send(record) for record in group])
        for partition in sorted({record.partition for record in passed}):
            memory.apply([record for record in passed if record.partition == partition])
    return memory


@given(events(), st.randoms(use_true_random=False), st.lists(st.integers(1, 4), max_size=4))
@settings(deadline=None, max_examples=150)
def test_set_law(sent: list[Rec], random: Any, sizes: list[int]) -> None:
    """A person's status depends on which events were accepted, not on their order or grouping."""
    shuffled = list(sent)
    random.shuffle(shuffled)
    assert statuses(carry_in_groups(sent, [])) == statuses(carry_in_groups(shuffled, sizes))


@given(events(), st.integers(0, 8))
@settings(deadline=None, max_examples=100)
def test_split_law(sent: list[Rec], at: int) -> None:
    """run(a + b) writes what run(a); run(b) writes, record by record, and leaves the same state."""
    sent = [*sent, *sent[:2]]  # with duplicates
    whole, parts = carry_in_groups(sent, []), carry_in_groups(sent, [at])
    assert whole.topics == parts.topics
    assert {n: s for n, s in whole.states.items() if s} == {n: s for n, s in parts.states.items() if s}


@st.composite
def mixed(draw: st.DrawFn) -> list[Rec]:
    """Good events, repeated ones, conflicting ones, and bytes of any kind."""
    sent = draw(events())
    extra = draw(st.lists(st.sampled_from(sent), max_size=3))
    conflicting = [event(attributes={"id": "e-0"}, surname=draw(st.sampled_from(["A", "B"]))) for _ in range(2)]
    broken = [
        Rec(sent[0].topic, 0, 0, None, value, sent[0].headers)
        for value in draw(st.lists(st.binary(max_size=40), max_size=3))
    ]
    return draw(st.permutations([*sent, *extra, *conflicting, *broken]))


@given(mixed(), st.lists(st.integers(1, 4), max_size=4))
@settings(deadline=None, max_examples=100)
def test_balance_law(sent: list[Rec], sizes: list[int]) -> None:
    """Every input has exactly one verdict; a rejection is one dead letter with the bytes unchanged."""
    memory = carry_in_groups(sent, sizes)
    inputs = {
        (topic, partition, r.offset): r.value
        for (topic, partition), log in memory.topics.items()
        if topic.startswith("in.")
        for r in log
    }
    receipts = [
        unpack(r.value) for t, _ in list(memory.topics) if t.startswith("receipts.") for r in memory.topics[t, _]
    ]
    places = Counter((r["origin_topic"], r["origin_partition"], r["origin_offset"]) for r in receipts)
    assert places == Counter(dict.fromkeys(inputs, 1))
    letters = [unpack(r.value) for t, _ in list(memory.topics) if t.startswith("dlq.") for r in memory.topics[t, _]]
    rejected = {
        (r["origin_topic"], r["origin_partition"], r["origin_offset"])
        for r in receipts
        if r["verdict"] == Outcome.REJECTED
    }
    kept = {(d["origin_topic"], d["origin_partition"], d["origin_offset"]): d["value"] for d in letters}
    assert set(kept) == rejected and len(letters) == len(rejected)
    assert all(inputs[place] == value for place, value in kept.items())


ANY = sorted(catalogue().types)


@st.composite
def of_any_type(draw: st.DrawFn) -> list[Rec]:
    """Events of every type of the catalogue, some with ids and numbers that take more than a byte to write."""
    numbers = st.none() | st.integers(0, 10**17).map(str)
    ids = st.text("abcXYZ019._:-", min_size=1, max_size=64)
    found = []
    for number in range(draw(st.integers(1, 6))):
        attributes = {"id": f"{number}{draw(ids)}"[:64], "time": when(draw(st.integers(0, 10**8)))}
        sequence = draw(numbers)
        found.append(
            event(draw(st.sampled_from(ANY)), attributes=attributes | ({"sequence": sequence} if sequence else {}))
        )
    return found


@given(events() | of_any_type(), st.lists(st.integers(1, 4), max_size=4), st.integers(1, 4))
@settings(deadline=None, max_examples=150)
def test_rebuild_law(sent: list[Rec], sizes: list[int], block: int) -> None:
    """State read back is the state as it was, byte for byte, but for what stands of the facts; and another ledger goes
    on from it as the first one."""
    memory, anew = carry_in_groups(sent, sizes), Memory()
    anew.topics = {place: list(log) for place, log in memory.topics.items()}
    with mock.patch.object(restore, "BLOCK", block):
        for partition in memory.states:
            assert memory.restored(partition) == memory.remembered(partition)
            anew.states[partition] = memory.restored(partition, by=anew.ledger)
    assert anew.states == {partition: memory.remembered(partition) for partition in memory.states}
    for each in (memory, anew):
        each.carry(*sent[:2], event(VETERAN, attributes={"id": "more"}, fin="AAAAAAA"))
    assert anew.topics == memory.topics
