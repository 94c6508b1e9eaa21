"""What an entry keeps of a fact is all that the fold reads of it, and not what all facts of its form say alike."""

from __future__ import annotations

from typing import Any

import pytest
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
