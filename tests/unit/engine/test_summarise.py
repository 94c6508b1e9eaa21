"""What a batch leaves behind it: one line of activity, and entries of the audit that cannot be changed unseen."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from world import NOW, VETERAN, Memory, catalogue, event, rules, sample, unpack

from hub.errors import Code
from hub.event import Denial, Outcome, Output, Result, Tally
from hub.pipeline.summarise import NOTHING, Chain, summarise

WRITER = "gate.2"
texts = st.text(max_size=20)
entries = st.fixed_dictionaries(
    {
        "at": st.integers(0, NOW),
        "kind": st.sampled_from(["DENIAL", "DELIVERY"]),
        "agency": st.none() | texts,
        "action": texts,
        "code": st.none() | texts,
        "origin": st.none() | texts,
        "counts": st.dictionaries(texts, st.integers(0, 10**6), max_size=3),
    }
)
unhurried = settings(deadline=None)  # the first example compiles the rulebook
OTHER = {"at": 1, "kind": "OPERATOR", "agency": "mod", "action": "nothing", "code": "x", "origin": "y"}


def written(given: Sequence[dict[str, Any]], chain: Chain) -> tuple[list[dict[str, Any]], Chain]:
    """The entries as an auditor reads them, and the end of the chain."""
    values = []
    for entry in given:
        value, chain = chain.add(rules().codecs, entry)
        values.append(rules().codecs.audit.unpack(value))
    return values, chain


def broken(log: Sequence[dict[str, Any]]) -> int | None:
    """Number of the first entry that does not fit those before it, None where the chain holds."""
    previous = NOTHING
    for number, entry in enumerate(log, start=1):
        bare = rules().codecs.audit.pack({**entry, "hash": NOTHING})
        if (entry["number"], entry["previous"]) != (number, previous) or sha256(bare).digest() != entry["hash"]:
            return number
        previous = entry["hash"]
    return None


@unhurried
@given(st.lists(entries, max_size=8))
def test_a_chain_can_be_verified_and_says_where_it_ends(given: list[dict[str, Any]]) -> None:
    log, end = written(given, Chain(WRITER))
    assert broken(log) is None
    assert end == (WRITER, len(log), log[-1]["hash"] if log else NOTHING)


@unhurried
@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_a_changed_entry_shows(given: list[dict[str, Any]], data: st.DataObject) -> None:
    log, _ = written(given, Chain(WRITER))
    at = data.draw(st.integers(0, len(log) - 1))
    name = data.draw(st.sampled_from(sorted(OTHER)))
    if log[at][name] != OTHER[name]:
        log[at] = log[at] | {name: OTHER[name]}
        assert broken(log) == at + 1


@unhurried
@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_an_entry_taken_out_or_moved_shows(given: list[dict[str, Any]], data: st.DataObject) -> None:
    log, _ = written(given, Chain(WRITER))
    at = data.draw(st.integers(0, len(log) - 2))
    assert broken(log[:at] + log[at + 1 :]) == at + 1
    assert broken([*log[:at], log[at + 1], log[at], *log[at + 2 :]]) == at + 1


@unhurried
@given(st.lists(entries, min_size=1, max_size=5), st.lists(entries, min_size=1, max_size=5))
def test_a_chain_goes_on_where_it_ended(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    """As a worker that starts anew does it: from the number and the hash of the last entry."""
    log, end = written(first, Chain(WRITER))
    more, _ = written(second, Chain(WRITER, end.number, end.hash))
    assert broken(log + more) is None


def summary(result: Result, lane: str = "gate", records: int = 0) -> tuple[list[Output], Chain]:
    return summarise(rules(), result, lane, Chain(WRITER), 2, records, NOW)


def test_an_empty_batch_says_that_it_was_empty_and_leaves_no_audit() -> None:
    (activity,), chain = summary(Result())
    assert (activity.topic, activity.partition) == ("activity", 2)
    assert unpack(activity.value)["tallies"] == [] and chain.number == 0


def test_the_activity_counts_what_the_gate_did() -> None:
    memory = Memory()
    records = [memory.send(event()), memory.send(event(fin="bad")), memory.send(event(agency="mod"))]
    result = memory.gate({}, records)
    said = unpack(summary(result, records=3)[0][0].value)
    assert (said["writer"], said["lane"], said["records"], said["at"]) == (WRITER, "gate", 3, NOW)
    counts = {(t["agency"], t["outcome"], t["code"]): t["count"] for t in said["tallies"]}
    assert counts["mes", "ACCEPTED", None] == 2 and counts["mod", "ACCEPTED", None] == 1
    assert counts["mes", "REJECTED", "fin_invalid"] == 1
    assert {t["last_accepted"] for t in said["tallies"]} == {NOW}


def test_a_denial_is_in_the_audit_with_the_records_place() -> None:
    memory = Memory()
    stranger = next(agency.code for agency in catalogue().agencies.values() if not agency.publishes)
    result = memory.gate({}, [memory.send(event(agency=stranger))])
    (_, entry), chain = summary(result)
    said = unpack(entry.value)
    assert (entry.topic, entry.partition, entry.key) == ("audit", 2, WRITER.encode())
    assert (said["kind"], said["agency"], said["code"]) == ("DENIAL", stranger, "type_not_allowed")
    assert said["origin"] == f"in.{stranger}/0/0" and said["hash"] == chain.hash


def test_what_left_for_whom_is_in_the_audit_with_its_legal_basis() -> None:
    memory = Memory()
    result = memory.apply(memory.pass_gate([memory.send(event())]))
    (_, entry), _ = summary(result, "ledger", 1)
    said = unpack(entry.value)
    fields = sample(VETERAN)
    expected = {
        f"{e.agency} {VETERAN} {e.basis}": 1
        for e in catalogue().entitlements[VETERAN]
        if all(fields[name] in values for name, values in e.when.items())
    }
    assert said["kind"] == "DELIVERY" and said["counts"] == expected


def test_entries_of_one_batch_follow_each_other() -> None:
    denials = [Denial("mod", "publish unknown", Code.SOURCE_MISMATCH, f"in.mod/0/{n}") for n in range(3)]
    tally = Tally("mod", "unknown", Outcome.REJECTED, "source_mismatch")
    result = Result(denials=denials)
    result.tally[tally] = 3
    outputs, chain = summary(result)
    assert broken([unpack(o.value) for o in outputs[1:]]) is None and chain.number == 3
