"""Whatever stands in a record of `in.*`: the gate takes it or refuses it, and what it takes the ledger can carry.

A step that raises is the hub's own fault, and a hundred in a row stop the worker: no publisher may bring that about.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from world import VETERAN, Memory, Rec, body, headers, sample, schemas, unpack

from hub.errors import Code

VALID = body(VETERAN, sample(VETERAN))
NAMES = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_sequence", "ce_correlationid"]
NAMES += ["ce_causationid", "content-type", "hub_origin", "hub_accepted", "x-anything", ""]
texts = st.sampled_from([b"", b"1.0", b"1", b"e-2", VETERAN.encode(), b"urn:az:agency:mes", b"2026-11-01T10:00:00Z"])
header_values = st.none() | st.binary(max_size=20) | texts
one_header = st.tuples(st.sampled_from(NAMES), header_values)


@st.composite
def any_headers(draw: st.DrawFn) -> list[tuple[str, bytes | None]]:
    """Valid ones, some taken out, some replaced, some added."""
    found: dict[str, bytes | None] = dict(headers(VETERAN, "mes"))
    for name, value in draw(st.lists(one_header, max_size=3)):
        found |= {name: value}
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=1)):
        found.pop(name, None)
    return [*found.items(), *draw(st.lists(one_header, max_size=1))]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A valid event with a few bytes changed, put in or taken out."""
    value = bytearray(VALID)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value) - 1))
        value[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(value)


ids = st.integers(0, max(schema.id for name in schemas().subjects() for schema in schemas().versions(name)) + 1)
foreign = st.builds(lambda number, rest: b"\0" + number.to_bytes(4, "big") + rest, ids, st.binary(max_size=80))
any_values = st.none() | st.just(VALID) | mutants() | foreign | st.binary(max_size=60)
records = st.builds(
    Rec, st.just("in.mes"), st.just(0), st.just(0), st.none() | st.binary(max_size=9), any_values, any_headers()
)


@settings(deadline=None, max_examples=400)
@given(records)
def test_a_record_passes_or_is_refused_with_its_bytes_and_a_receipt(record: Rec) -> None:
    memory = Memory()
    passed = memory.pass_gate([memory.send(record)])
    if passed:
        (event,) = passed
        assert event.value == record.value
        memory.apply([event])
    else:
        (letter,) = map(unpack, (r.value for r in memory.all("dlq.mes")))
        assert (letter["value"], letter["key"]) == (record.value, record.key)
        assert letter["code"] in set(Code) - {Code.INTERNAL}
        kept = [(header["name"], header["value"]) for header in letter["headers"]]
        assert kept == [(name, value) for name, value in record.headers]
    (receipt,) = map(unpack, (r.value for r in memory.all("receipts.mes")))
    assert receipt["verdict"] == ("APPLIED" if passed else "REJECTED")
