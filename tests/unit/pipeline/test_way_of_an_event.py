"""One event's way through gate and ledger, in memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from world import (
    NOW,
    PARTITIONS,
    SECRET,
    VETERAN,
    Memory,
    Rec,
    catalogue,
    event,
    headers,
    rules,
    sample,
    schemas,
    unpack,
)

from hub.avro.codec import encode
from hub.avro.records import WIRE_HEADER_BYTES, wire_header, without_logical_types
from hub.errors import SchemaWanted
from hub.event import Outcome, Output
from hub.pipeline.ledger import Ledger
from hub.pipeline.rulebook import Rulebook, compile_rulebook
from hub.registry.change import delete_version
from hub.registry.schemas import Schemas


@pytest.mark.parametrize("type_name", sorted(catalogue().types))
def test_every_type_reaches_exactly_the_entitled_agencies(type_name: str) -> None:
    memory = Memory()
    memory.carry(event(type_name))
    entitled = {
        e.agency: e
        for e in catalogue().entitlements[type_name]
        if all(unpack(event(type_name).value)[name] in values for name, values in e.when.items())
    }
    received = {topic.removeprefix("out.") for topic, _ in memory.topics if topic.startswith("out.")}
    assert received == set(entitled)
    for agency, entitlement in entitled.items():
        (record,) = memory.all(f"out.{agency}")
        assert set(unpack(record.value)) == entitlement.clear | entitlement.masked
    (receipt,) = memory.all(f"receipts.{event(type_name).topic.removeprefix('in.')}")
    assert unpack(receipt.value)["verdict"] == "APPLIED"


def test_the_bytes_in_events_are_those_that_came() -> None:
    memory = Memory()
    sent = event()
    (passed,) = memory.pass_gate([memory.send(sent)])
    assert passed.value == sent.value
    assert passed.key is not None and len(passed.key) == 32
    assert dict(passed.headers)["hub_origin"] == b"in.mes/0/0"
    assert dict(passed.headers)["hub_accepted"] == b"%d" % NOW


def registered_too(edit: Callable[[dict[str, Any]], None]) -> tuple[Schemas, int]:
    """What is registered, with one more version of the type; and that one's id."""
    known, schema = Schemas(), copy.deepcopy(catalogue().types[VETERAN].schema)
    edit(schema)
    known.assign(catalogue().schemas())
    (entry,) = known.assign([(VETERAN, json.dumps(schema))])
    return known, entry.id


def test_a_version_that_was_deleted_since_is_still_read() -> None:
    """Events of it wait in the topics, and are kept for decades."""
    known, id = registered_too(lambda schema: schema.update(doc="As it was."))
    for change in delete_version(known, VETERAN, "2", permanent=False).changes:
        known.apply(*change)
    memory, sent = Memory(rulebook=compile_rulebook(catalogue(), known, SECRET, PARTITIONS)), event()
    memory.carry(replace(sent, value=wire_header(id) + (sent.value or b"")[WIRE_HEADER_BYTES:]))
    assert [unpack(receipt.value)["verdict"] for receipt in memory.all("receipts.mes")] == ["APPLIED"]


def with_a_note(memory: Memory) -> tuple[Schemas, Rec]:
    """What is registered once the type has a field more, and an event so written; nobody there knows of it yet."""
    note = {"name": "note", "type": "string", "default": "", "doc": "A note."}
    known, id = registered_too(lambda schema: schema["fields"].append(note))
    assert id not in memory.rulebook.gate_readers
    schema = without_logical_types(json.loads(known.by_id(id).schema))
    body = sample(VETERAN, fin="7QWERTY") | {"note": "Yeni."}
    return known, replace(event(), value=encode(schema, body, wire_header(id)))


def own_rules() -> Rulebook:
    """Not those that all tests share: these learn."""
    return compile_rulebook(catalogue(), schemas(), SECRET, PARTITIONS)


def test_a_version_registered_later_is_read_once_it_is_learned() -> None:
    memory = Memory(rulebook=own_rules())
    known, newer = with_a_note(memory)
    first = memory.gate({}, [memory.send(event(attributes={"id": "e-0"})), memory.send(newer)])
    assert first.unknown == {("mes", known.versions(VETERAN)[-1].id)}
    assert [Output(*row).topic for row in first.outputs][1:] == ["dlq.mes", "receipts.mes"]
    assert set(memory.rulebook.learn(known).values()) == {VETERAN}
    assert memory.rulebook.learn(known) == {}, "nothing is new twice"
    again = memory.gate({}, [memory.send(newer)])
    assert not again.unknown
    memory.carry(newer, newer)
    assert [unpack(each.value)["verdict"] for each in memory.all("receipts.mes")] == ["APPLIED", "DUPLICATE"]
    (passed, _) = memory.all("events.veteran")
    assert passed.value == newer.value, "the bytes that came, under the id that they came with"
    for entitlement in catalogue().entitlements[VETERAN]:
        for record in memory.all(f"out.{entitlement.agency}"):
            assert set(unpack(record.value)) == entitlement.clear | entitlement.masked


def test_what_was_read_at_the_start_and_what_was_learned_later_come_to_the_same() -> None:
    later = Memory(rulebook=own_rules())
    known, newer = with_a_note(later)
    later.rulebook.learn(known)
    at_start = Memory(rulebook=compile_rulebook(catalogue(), known, SECRET, PARTITIONS))
    for memory in (later, at_start):
        memory.carry(event(attributes={"id": "e-0"}), newer, event(attributes={"id": "e-2"}))
    assert later.topics == at_start.topics and later.states == at_start.states
    assert all(later.restored(partition) == later.remembered(partition) for partition in later.states)


def test_a_gate_set_back_to_the_first_record_makes_nothing_new_of_what_was_learned_later() -> None:
    memory = Memory(rulebook=own_rules())
    known, newer = with_a_note(memory)
    memory.rulebook.learn(known)
    memory.carry(event(attributes={"id": "e-0"}), newer)
    before = {place: list(log) for place, log in memory.topics.items()}
    for passed in memory.pass_gate(memory.all("in.mes")):
        memory.apply([passed])
    changed = {topic for (topic, _), log in memory.topics.items() if log != before.get((topic, _))}
    assert changed == {"events.veteran", "receipts.mes"}
    verdicts = sorted(unpack(each.value)["verdict"] for each in memory.all("receipts.mes"))
    assert verdicts == ["APPLIED"] * 2 + ["DUPLICATE"] * 2


def test_the_ledger_of_a_worker_that_has_not_learned_it_asks_for_it() -> None:
    """Another worker's gate let it through."""
    elsewhere, here = Memory(rulebook=own_rules()), Memory(rulebook=own_rules())
    known, newer = with_a_note(elsewhere)
    elsewhere.rulebook.learn(known)
    passed = elsewhere.pass_gate([elsewhere.send(newer)])
    with pytest.raises(SchemaWanted) as wanted:
        here.apply(passed)
    assert wanted.value.id == known.versions(VETERAN)[-1].id and not here.topics
    here.rulebook.learn(known)
    here.apply(passed)
    assert [unpack(each.value)["verdict"] for each in here.all("receipts.mes")] == ["APPLIED"]


def without(types: Collection[str] = (), agencies: Collection[str] = ()) -> Rulebook:
    """Of a catalogue from which these were taken out."""
    found = catalogue()
    left = replace(
        found,
        types={name: of for name, of in found.types.items() if name not in types},
        agencies={
            code: replace(agency, publishes=agency.publishes - set(types))
            for code, agency in found.agencies.items()
            if code not in agencies
        },
    )
    return compile_rulebook(left, schemas(), SECRET, PARTITIONS)


def test_an_event_that_passed_before_its_type_was_taken_out_is_refused_and_the_line_goes_on() -> None:
    memory, other = Memory(), "az.zefer.martyr_family.MartyrRecognised"
    by = "mod"
    passed = memory.pass_gate([memory.send(event(other, by)), memory.send(event(agency=by))])
    ledger = Ledger(without(types=[other]), lambda: NOW, {(each.topic, each.partition): 1 for each in passed})
    result = ledger({}, passed)
    for row in result.outputs:
        memory.write(row)
    verdicts = [unpack(each.value) for each in memory.all(f"receipts.{by}")]
    assert [(each["verdict"], each["code"]) for each in verdicts] == [("REJECTED", "type_unknown"), ("APPLIED", None)]
    (dead,) = [unpack(each.value) for each in memory.all(f"dlq.{by}")]
    assert (dead["step"], dead["code"], dead["origin_offset"]) == ("read", "type_unknown", 0)
    assert {tally.outcome for tally in result.tally} == {Outcome.REJECTED, Outcome.APPLIED}


def test_an_event_of_a_type_that_only_another_worker_has_yet_is_waited_for() -> None:
    """It passed that one's gate after this one had started: a restart here reads the newer catalogue."""
    memory = Memory()
    passed = memory.pass_gate([memory.send(event())])
    with pytest.raises(SchemaWanted):
        Ledger(without(types=[VETERAN]), lambda: NOW + 3_600_000, {(passed[0].topic, passed[0].partition): 0})(
            {}, passed
        )


def test_what_an_agency_said_before_it_was_taken_out_counts() -> None:
    """The set law: a person's status does not depend on whether the ledger was a moment behind."""
    before, after = Memory(), Memory()
    after.ledger = Ledger(without(agencies=["mes"]), lambda: NOW)
    for memory in (before, after):
        memory.carry(event(agency="mes"))
    assert after.topics == before.topics
    assert [unpack(each.value)["verdict"] for each in after.all("receipts.mes")] == ["APPLIED"]
    assert all(after.restored(partition) == after.remembered(partition) for partition in after.states)


def test_a_text_that_is_no_schema_of_records_is_left_out() -> None:
    for written in ("[]", '"string"', '{"type":"record","name":"A","fields":[{"name":"x","type":"t.Other"}]}'):
        ids = SimpleNamespace(versions=lambda *_, written=written, **__: [SimpleNamespace(id=7, schema=written)])
        assert own_rules().learn(ids) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("edit", "category"),
    [
        (lambda schema: schema["fields"].pop(0), "WAR"),
        (lambda schema: schema["fields"][5]["type"]["symbols"].append("PEACE"), "PEACE"),
    ],
    ids=["no person", "another symbol"],
)
def test_a_version_that_cannot_be_read_is_refused_with_its_code(
    edit: Callable[[dict[str, Any]], None], category: str
) -> None:
    """Whoever writes to the log of schemas past this registry may have put it there."""
    known, id = registered_too(edit)
    memory = Memory(rulebook=compile_rulebook(catalogue(), known, SECRET, PARTITIONS))
    schema = copy.deepcopy(catalogue().types[VETERAN].schema)
    edit(schema)
    value = sample(VETERAN, category=category)
    body = {field["name"]: value[field["name"]] for field in schema["fields"]}
    memory.carry(replace(event(), value=encode(without_logical_types(schema), body, wire_header(id))))
    (letter,) = memory.all("dlq.mes")
    found = unpack(letter.value)
    assert (found["code"], found["step"]) == ("body_invalid", "decode")
    assert category not in found["detail"]


def test_what_receivers_see_names_nobody() -> None:
    memory = Memory()
    memory.carry(event(fin="7QWERTY"))
    keys = set()
    for (topic, _), log in memory.topics.items():
        for record in log:
            if topic.startswith("in."):
                continue
            for part in (record.key or b"", *(value for _, value in record.headers)):
                assert b"7QWERTY" not in part
            if topic.startswith("out."):
                keys.add(record.key)
                seen = dict(record.headers)
                assert seen["ce_originid"] == b"e-1" and seen["ce_id"] != b"e-1"
    outs = [topic for topic, _ in memory.topics if topic.startswith("out.")]
    assert len(keys) == len(outs), "a person has another key towards each agency"


def test_one_projection_serves_all_with_the_same_mask() -> None:
    memory = Memory()
    memory.carry(event())
    by_mask: dict[object, set[bytes]] = {}
    for entitlement in catalogue().entitlements[VETERAN]:
        for record in memory.all(f"out.{entitlement.agency}"):
            by_mask.setdefault(entitlement.mask, set()).add(record.value or b"")
    assert all(len(values) == 1 for values in by_mask.values())


def test_a_duplicate_is_known_by_its_content_not_its_bytes() -> None:
    memory = Memory()
    memory.carry(event(conflicts=["AFGHANISTAN", "OTHER"]))
    again = event(conflicts=["AFGHANISTAN", "OTHER"])
    assert again.value is not None
    # the same array as a Go or Java encoder may write it: two blocks, the first with its size in bytes
    one_block, two_blocks = b"\x04\x02\x0a\x00", b"\x01\x02\x02\x02\x0a\x00"
    assert one_block in again.value
    other = again.value.replace(one_block, two_blocks)
    memory.carry(type(again)(again.topic, 0, 0, b"k", other, again.headers))
    verdicts = [unpack(r.value)["verdict"] for r in memory.all("receipts.mes")]
    assert verdicts == ["APPLIED", "DUPLICATE"]


def test_same_identity_other_content_is_kept_in_the_dead_letter_queue() -> None:
    memory = Memory()
    memory.carry(event(surname="Bir"), event(surname="Iki"))
    (letter,) = memory.all("dlq.mes")
    assert unpack(letter.value)["code"] == "identity_conflict"
    assert unpack(letter.value)["value"] == event(surname="Iki").value
    assert [unpack(r.value)["verdict"] for r in memory.all("receipts.mes")] == ["APPLIED", "REJECTED"]


def test_identity_includes_the_person() -> None:
    memory = Memory()
    memory.carry(event(fin="AAAAAAA"), event(fin="BBBBBBB"))
    assert [unpack(r.value)["verdict"] for r in memory.all("receipts.mes")] == ["APPLIED", "APPLIED"]


def test_a_late_event_is_marked_and_goes_out_once() -> None:
    memory = Memory()
    memory.carry(
        event(attributes={"id": "a"}, effective_from=20_000),
        event(attributes={"id": "b"}, effective_from=19_000, document_number="before"),
    )
    late = [dict(r.headers).get("ce_late") for r in memory.all("out.zefer")]
    versions = [dict(r.headers)["ce_statusversion"] for r in memory.all("out.zefer")]
    assert late == [None, b"true"] and versions == [b"1", b"2"]
    receipts = [unpack(r.value) for r in memory.all("receipts.mes")]
    assert [(r["late"], r["version"]) for r in receipts] == [(False, 1), (True, 2)]


def test_a_gap_in_the_sequence_is_a_warning_and_nothing_waits() -> None:
    memory = Memory()
    memory.carry(
        event(attributes={"id": "a", "sequence": "1"}),
        event(attributes={"id": "b", "sequence": "3"}),
        event(attributes={"id": "c", "sequence": "2"}),
    )
    assert [unpack(r.value)["sequence_gap"] for r in memory.all("receipts.mes")] == [False, True, False]


def test_state_read_back_is_state_as_it_was() -> None:
    memory = Memory()
    memory.carry(
        event(attributes={"id": "a", "sequence": "1"}, effective_from=20_000),
        event(attributes={"id": "b", "sequence": "7"}, effective_from=19_000, valid_until=19_500),
        event("az.zefer.service.ServiceRequested", attributes={"id": "c"}),
    )
    for number in memory.states:
        assert memory.restored(number) == memory.remembered(number)


def test_a_case_never_touches_a_status() -> None:
    memory = Memory()
    memory.carry(event("az.zefer.service.ServiceRequested"))
    assert memory.all("status.person") == [] and memory.all("state.ledger") != []


def test_a_request_reaches_the_one_provider_asked() -> None:
    memory = Memory()
    kind = "az.zefer.service.ServiceRequested"
    providers = {e.agency for e in catalogue().entitlements[kind] if e.when.get("provider") == {e.agency}}
    assert len(providers) > 15
    asked = sorted(providers)[3]
    service = next(s.code for s in catalogue().services.values() if asked in s.providers)
    memory.carry(event(kind, provider=asked, service=service))
    received = {topic.removeprefix("out.") for topic, _ in memory.topics if topic.startswith("out.")}
    assert received & providers == {asked}


def test_nobody_speaks_for_another_provider_and_none_is_asked_for_what_it_does_not_provide() -> None:
    memory = Memory()
    done = "az.zefer.service.ServiceCompleted"
    service = next(s for s in catalogue().services.values() if len(s.providers) > 1)
    one, other = service.providers[:2]
    memory.carry(event(done, agency=one, provider=other, service=service.code))
    stranger = next(s.providers[0] for s in catalogue().services.values() if s.providers[0] not in service.providers)
    memory.carry(event("az.zefer.service.ServiceRequested", provider=stranger, service=service.code))
    letters = [unpack(r.value) for t, _ in list(memory.topics) if t.startswith("dlq.") for r in memory.topics[t, _]]
    assert [(d["code"], d["pointer"]) for d in letters] == [("rule_broken", "/provider")] * 2


def test_a_failing_step_is_refused_as_the_hubs_own_fault() -> None:
    from hub.errors import Code
    from hub.event import Rejection

    memory = Memory()
    record = memory.send(event())
    result = memory.gate.refuse(record, Rejection(Code.INTERNAL, "gate", "x"))
    assert {o.topic for o in result.outputs} == {"dlq.mes", "receipts.mes"}


def test_headers_that_are_not_the_hubs_business_stop_at_the_gate() -> None:
    memory = Memory()
    record = event()
    extra = [*headers(VETERAN, "mes"), ("x-trace", b"1"), ("ce_custom", b"2")]
    (passed,) = memory.pass_gate([memory.send(type(record)(record.topic, 0, 0, None, record.value, extra))])
    assert {"x-trace", "ce_custom"}.isdisjoint(dict(passed.headers))
    assert rules().catalogue.may_publish("mes", VETERAN)
