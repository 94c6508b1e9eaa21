"""Whatever is done to the audit but at its end, `verify` says so; at its end, an earlier verification does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from world import NOW, rules, schemas

from hub.access.entries import unpacker
from hub.access.verify import Break, Chained, verify
from hub.pipeline.summarise import Chain

texts = st.text(max_size=12)
entries = st.fixed_dictionaries(
    {
        "at": st.integers(0, NOW),
        "kind": st.sampled_from(["DENIAL", "DELIVERY", "OPERATOR"]),
        "agency": st.none() | texts,
        "action": texts,
        "code": st.none() | texts,
        "origin": st.none() | texts,
        "counts": st.dictionaries(texts, st.integers(0, 10**6), max_size=2),
    }
)
writers = st.sampled_from(["gate.1", "gateway.a", "registry.b"])
unhurried = settings(deadline=None)


@dataclass(frozen=True)
class Rec:
    coordinates: str
    key: bytes | None
    value: bytes | None


@st.composite
def audits(draw: Any, least: int = 0, by: Any = writers) -> list[Rec]:
    """Entries of several writers, mixed, as they lie in one partition."""
    chains = {}
    found = []
    for place, (writer, entry) in enumerate(draw(st.lists(st.tuples(by, entries), min_size=least, max_size=8))):
        value, chains[writer] = chains.get(writer, Chain(writer)).add(rules().codecs, entry)
        found.append(Rec(f"audit/0/{place}", writer.encode(), value))
    return found


def check(records: list[Rec], earlier: Any = None) -> tuple[dict[str, Chained], list[Break]]:
    chains, breaks = verify(records, unpacker(schemas()), earlier)
    return dict(chains), breaks


@unhurried
@given(audits())
def test_what_nobody_touched_is_whole(records: list[Rec]) -> None:
    chains, breaks = check(records)
    assert breaks == [] and sum(chain.entries for chain in chains.values()) == len(records)


@unhurried
@given(audits(least=1), st.data())
def test_one_changed_byte_is_found(records: list[Rec], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    value = records[place].value or b""
    at, by = data.draw(st.integers(0, len(value) - 1)), data.draw(st.integers(1, 255))
    records[place] = replace(records[place], value=value[:at] + bytes([value[at] ^ by]) + value[at + 1 :])
    assert check(records)[1]


@unhurried
@given(audits(least=1), st.binary(min_size=1, max_size=40), st.data())
def test_bytes_put_on_or_taken_off_are_found(records: list[Rec], more: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    value = records[place].value or b""
    other = data.draw(st.sampled_from([value + more, more + value, value[: -len(more)], None]))
    records[place] = replace(records[place], value=other)
    assert check(records)[1]


@unhurried
@given(audits(least=2, by=st.just("gate.1")), st.data())
def test_an_entry_taken_out_before_the_end_is_found(records: list[Rec], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 2))
    assert check(records[:place] + records[place + 1 :])[1]


@unhurried
@given(audits(least=1), st.data())
def test_an_entry_that_comes_twice_is_found(records: list[Rec], data: st.DataObject) -> None:
    place, to = (data.draw(st.integers(0, len(records) - 1)) for _ in range(2))
    assert check([*records[: to + 1], records[place], *records[to + 1 :]])[1]


@unhurried
@given(audits(least=2, by=st.just("gate.1")), st.data())
def test_two_entries_of_a_writer_changed_in_order_are_found(records: list[Rec], data: st.DataObject) -> None:
    one = data.draw(st.integers(0, len(records) - 2))
    other = data.draw(st.integers(one + 1, len(records) - 1))
    records[one], records[other] = records[other], records[one]
    assert check(records)[1]


@unhurried
@given(audits(least=1), st.sampled_from([None, b"", b"gate.2", b"gateway.a"]), st.data())
def test_an_entry_under_another_key_is_found(records: list[Rec], key: bytes | None, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    assume(records[place].key != key)
    records[place] = replace(records[place], key=key)
    assert check(records)[1]


@unhurried
@given(audits(least=1), st.integers(1, 8))
def test_an_end_cut_off_is_found_by_what_was_kept_of_it(records: list[Rec], cut: int) -> None:
    chains, _ = check(records)
    earlier = {name: (chain.number, chain.hash) for name, chain in chains.items()}
    assert check(records, earlier)[1] == []
    assert check(records[:-cut])[1] == []  # no chain can show this by itself
    assert check(records[:-cut], earlier)[1]


@unhurried
@given(audits(least=1), entries)
def test_a_history_written_anew_is_found_by_what_was_kept_of_it(records: list[Rec], other: dict[str, Any]) -> None:
    chains, _ = check(records)
    earlier = {name: (chain.number, chain.hash) for name, chain in chains.items()}
    writer = (records[0].key or b"").decode()
    value, _ = Chain(writer).add(rules().codecs, other)
    forged = [Rec("audit/0/0", writer.encode(), value), *(r for r in records if r.key != records[0].key)]
    assume(value not in [each.value for each in records])
    assert check(forged)[1] == []
    assert check(forged, earlier)[1]
