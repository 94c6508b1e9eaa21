"""What the quick way through the gate passes, its steps pass too, with the same output; the rest is left to them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from world import NOW, VETERAN, Rec, catalogue, event, rules, sample

from hub.avro.packed import unpack_headers
from hub.event import Outcome, Result
from hub.pipeline.gate import Gate
from hub.pipeline.passage import Passages

TYPES = sorted(name for name, of in catalogue().types.items() if of.stream != "benefit")
HEADERS = ["ce_id", "ce_time", "ce_source", "ce_type", "ce_specversion", "ce_sequence", "content-type"]
TEXTS = st.sampled_from([b"", b"1.0", b"x", b"5ZK3LMP", b"a5zk3lmp", b"12", b"2026-11-01T10:00:00Z", b"\xff", b"E 1"])


class Slow(Gate):
    """The gate with its steps alone."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._passages = Never(rules())


class Never(Passages):
    def through(self, record: Any) -> None:
        return None


@st.composite
def records(draw: st.DrawFn) -> Rec:
    """Events of every type, most of them with something changed: a header, a byte, their agency."""
    sent = event(draw(st.sampled_from(TYPES)))
    headers = list(sent.headers)
    for _ in range(draw(st.integers(0, 2))):
        change = draw(st.sampled_from(["set", "drop", "add", "twice"]))
        name = draw(st.sampled_from([*HEADERS, "ce_correlationid", "x-other", "5ZK3LMP"]))
        if change == "drop":
            headers = [pair for pair in headers if pair[0] != name]
        elif change == "set":
            headers = [(key, draw(TEXTS) if key == name else value) for key, value in headers]
        else:
            headers.append((name, draw(TEXTS)))
    value = sent.value or b""
    if draw(st.booleans()):
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
    topic = draw(st.sampled_from([sent.topic, sent.topic, sent.topic, "in.mod"]))
    return Rec(topic, 1, 7, b"k", value, headers)


def seen(result: Result) -> tuple[Any, ...]:
    return (
        [(*row[:4], list(unpack_headers(row[4]))) for row in result.outputs],
        result.tally,
        result.latest,
        result.denials,
    )


@given(st.lists(records(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=400)
def test_quick_and_careful_agree(sent: list[Rec]) -> None:
    assert seen(Gate(rules(), lambda: NOW)({}, sent)) == seen(Slow(rules(), lambda: NOW)({}, sent))


def test_every_type_has_a_quick_way() -> None:
    passages = Passages(rules())
    assert [name for name in TYPES if passages.through(event(name)) is None] == []


def test_a_fin_in_the_id_is_refused_on_either_way() -> None:
    fin = sample(VETERAN)["fin"]
    result = Gate(rules(), lambda: NOW)({}, [event(VETERAN, attributes={"id": f"e-{fin.lower()}"})])
    assert {tally.outcome for tally in result.tally} == {Outcome.ACCEPTED, Outcome.REJECTED}
