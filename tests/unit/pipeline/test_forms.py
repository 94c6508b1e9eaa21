"""What an entry keeps of a fact is all that the fold reads of it, and not what all facts of its form say alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from world import Memory, catalogue, event, rules, unpack

from hub.pipeline.forms import Forms
from hub.pipeline.person import facts_of

TOUCHING = sorted(name for name, of in catalogue().types.items() if of.status)
READ = ("effective", "time", "source", "sequence", "id", "stream", "kind", "slot", "transition", "until")
READ += ("document", "voids")


def carried(name: str, **given: Any) -> tuple[Memory, bytes, dict[str, Any]]:
    """The memory after one event, the wire bytes of its fact, and what another Avro reader finds in them."""
    memory = Memory()
    memory.carry(event(name, **given))
    (record,) = memory.all("state.ledger")
    assert record.value is not None
    return memory, record.value, unpack(record.value)


@pytest.mark.parametrize("name", TOUCHING)
def test_a_compact_fact_is_read_as_another_avro_reader_reads_the_full_one(name: str) -> None:
    memory, value, expected = carried(name, attributes={"id": "x" * 64, "sequence": str(10**17)})
    (entry,) = [entry for state in memory.states.values() for entry in state.values()]
    (compact,) = facts_of(entry)
    found = memory.ledger._forms.read(compact)
    expected["sequence"] = 10**17
    assert {field: getattr(found, field) for field in READ} == {field: expected[field] for field in READ}
    assert value.endswith(found.attributes)
    for alike in ("source", "stream", "kind"):
        assert len(compact) < len(value) - len(expected["type"]) and expected[alike] is not None
    assert expected["stream"].encode() not in compact or expected["stream"] == expected["kind"]


@pytest.mark.parametrize("name", sorted(catalogue().types))
def test_what_is_read_back_is_what_was_kept(name: str) -> None:
    _, value, expected = carried(name)
    key, identity, content, form, sequence, compact = Forms(rules().codecs.fact, lambda *_: 7).kept(value)
    assert (key.decode(), identity, content) == (expected["person_id"], expected["identity"], expected["content"])
    assert form.channel == 7 and sequence is None
    assert form.touches is (compact is not None) is (name in TOUCHING)


def test_a_case_number_longer_than_a_byte_can_say_is_read_back() -> None:
    writer = rules().codecs.fact
    fields: dict[str, Any] = {"person_id": "case/" + "9" * 300, "identity": bytes(16), "content": bytes(16)}
    fields |= {"type": "t" * 100, "source": "s" * 80, "stream": "m" * 70, "sequence": -5, "time": -1, "id": "i" * 64}
    absent = ("kind", "slot", "transition", "effective", "until", "document", "voids")
    value = writer.pack(fields | dict.fromkeys(absent) | {"attributes": {}})
    key, _, _, form, sequence, compact = Forms(writer, lambda *names: len(names[0]) + len(names[1])).kept(value)
    assert (key.decode(), form.channel, sequence, compact) == (fields["person_id"], 150, -5, None)
    with_slot = {"kind": "k" * 90, "slot": "z" * 90, "transition": "end", "effective": 20_000}
    value = writer.pack(fields | dict.fromkeys(absent) | with_slot | {"attributes": {"a": 1}})
    forms = Forms(writer, lambda *_: 0)
    compact = forms.kept(value)[5]
    assert compact is not None
    fact = forms.read(compact)
    assert (fact.kind, fact.slot, fact.transition, fact.effective) == ("k" * 90, "z" * 90, "end", 20_000)
    assert (fact.source, fact.stream, fact.sequence, fact.time, fact.id) == ("s" * 80, "m" * 70, -5, -1, "i" * 64)


LONG, INT = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (64, 32))
SIX_BYTES, THREE_BYTES = st.integers(2**33, 2**42), st.integers(2**12, 2**21)  # as most are, and just beyond


@given(
    time=SIX_BYTES | LONG,
    effective=THREE_BYTES | INT,
    sequence=st.none() | LONG,
    until=st.none() | INT,
    texts=st.tuples(st.text(max_size=80), *[st.none() | st.text(max_size=80)] * 2),
)
@example(time=2**34 - 1, effective=2**13 - 1, sequence=63, until=None, texts=("", None, None))
@example(time=2**34, effective=2**13, sequence=64, until=0, texts=("x" * 63, "", None))
@example(time=2**41 - 1, effective=2**20 - 1, sequence=0, until=-1, texts=("x" * 64, None, "ə"))
@example(time=2**41, effective=2**20, sequence=None, until=1, texts=("", "ə" * 40, ""))
def test_numbers_and_texts_of_any_length_are_read_back(
    time: int, effective: int, sequence: int | None, until: int | None, texts: tuple[str, str | None, str | None]
) -> None:
    id, document, voids = texts
    writer = rules().codecs.fact
    fields: dict[str, Any] = {"person_id": "p", "identity": bytes(16), "content": bytes(16), "type": "t", "source": "s"}
    fields |= {"stream": "m", "kind": "k", "slot": None, "transition": "set", "attributes": {}}
    said = {"time": time, "effective": effective, "until": until, "id": id, "document": document, "voids": voids}
    forms = Forms(writer, lambda *_: 0)
    compact = forms.kept(writer.pack(fields | said | {"sequence": sequence}))[5]
    assert compact is not None
    found = forms.read(compact)
    assert {field: getattr(found, field) for field in said} == said
    assert found.sequence == (-1 if sequence is None else sequence)


def test_a_ledger_may_meet_more_forms_than_a_byte_can_number() -> None:
    writer, found = rules().codecs.fact, []
    forms = Forms(writer, lambda *_: 0)
    base = dict.fromkeys(("sequence", "slot", "until", "document", "voids")) | {"attributes": {}, "effective": 1}
    base |= {"person_id": "p", "identity": bytes(16), "content": bytes(16), "type": "t", "time": 1, "id": "i"}
    for number in range(300):
        of = {"source": f"s{number}", "stream": "m", "kind": "k", "transition": "set"}
        compact = forms.kept(writer.pack(base | of))[5]
        assert compact is not None
        found.append(compact)
    assert [forms.read(compact).source for compact in found] == [f"s{number}" for number in range(300)]
