"""A status written from what stood before is the one that all facts make, to the byte."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from world import Memory, catalogue, event, rules

from hub.avro.packer import data
from hub.pipeline.facts import Placed
from hub.pipeline.fold import Fact, is_late
from hub.pipeline.person import EMPTY, MOST_STANDING, facts_of, remember, standing_of
from hub.pipeline.status import StatusWriter

KEY = b"a" * 32
few = st.integers(0, 6)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Decisions of three agencies on up to two kinds, with slots or without; in half of the cases in order, and in half
    with none that undoes another."""
    undoing, ordered, kinds = draw(st.booleans()), draw(st.booleans()), draw(st.integers(1, 2))
    found = []
    for number in range(draw(st.integers(1, 9))):
        transition = draw(st.sampled_from(["set", "set", "end", "annul" if undoing else "set"]))
        undoes = undoing and (transition == "annul" or draw(st.integers(0, 4)) == 0)
        found.append(
            Fact(
                draw(few),
                draw(st.integers(0, 2)),
                draw(st.sampled_from(["mes", "mod", "moda"])),
                draw(st.integers(-1, 2)),
                f"e-{draw(few)}-{number}",
                draw(st.sampled_from(["veteran", "martyr"])),
                draw(st.sampled_from(["veteran", "family"][:kinds])),
                draw(st.sampled_from([None, "", "spouse"][: 2 * kinds - 1])),
                transition,
                draw(st.none() | few),
                draw(st.none() | st.sampled_from(["D-1", "D-2"])),
                draw(st.sampled_from([None, "D-1", "D-2"])) if undoes else None,
                data(b"%d" % number),
            )
        )
    return sorted(found) if ordered else found


def as_written(fact: Fact) -> tuple[Any, Placed, int, int]:
    """What the ledger gives of a fact."""
    source = fact.source.encode()
    sets = fact.transition == "set" and (fact.until is None or fact.effective < fact.until)
    of = SimpleNamespace(kind=fact.kind, agency=source, source=data(source), begins=lambda _: sets)
    keeps = fact.voids is None and fact.transition != "annul"
    return of, (fact.slot, fact.effective, fact.until, fact.attributes, keeps), fact.time, fact.sequence


@given(facts())
def test_what_stood_before_and_one_more_fact_make_what_all_facts_make(arrived: list[Fact]) -> None:
    writer, standing, known = StatusWriter(rules().codecs.status), b"", list[Fact]()
    for version, fact in enumerate(arrived, 1):
        known.append(fact)
        status, stands = writer.write(KEY, version, known)
        after = writer.after(KEY, version, standing, *as_written(fact)) if standing else None
        note("read" if after is None else "written from what stood")
        assert after is None or (after == (status, stands) and not is_late(known[:-1], fact))
        standing = stands
        if standing:
            of, _, time, sequence = as_written(fact)
            other = writer.after(KEY, version + 1, standing, of, None, time, sequence)
            assert other == writer.write(KEY, version + 1, known), "an event that touches no status"


def test_decisions_in_order_are_written_from_what_stood() -> None:
    """The law says nothing of how often."""
    writer = StatusWriter(rules().codecs.status)
    plain = Fact(10, 0, "mes", -1, "e", "veteran", "veteran", None, "set", None, "D", None, b"\0")
    _, standing = writer.write(KEY, 1, [plain])
    later = plain._replace(effective=20, until=40)
    for fact in (later, later._replace(effective=10, time=1), later._replace(effective=30, transition="end")):
        assert writer.after(KEY, 2, standing, *as_written(fact)) == writer.write(KEY, 2, [plain, fact])
    for fact in (
        plain._replace(id="f"),
        later._replace(effective=9),
        later._replace(voids="D"),
        later._replace(transition="annul"),
        later._replace(kind="family"),
    ):
        assert writer.after(KEY, 2, standing, *as_written(fact)) is None
    assert writer.write(KEY, 2, [plain, later._replace(voids="D")])[1] == b""


def test_a_slot_of_any_length_is_written() -> None:
    writer = StatusWriter(rules().codecs.status)
    long = Fact(10, 0, "mes", -1, "e", "veteran", "veteran", "s" * 70_000, "set", None, "D", None, b"\0")
    status, standing = writer.write(KEY, 2, [long, long._replace(effective=11)])
    assert len(standing) > MOST_STANDING
    assert status.count(b"s" * 70_000) == 1


def test_an_entry_keeps_what_stands_until_the_next_event_and_no_more_than_it_may() -> None:
    who, standing = bytes(16), b"stands"
    first, _ = remember(EMPTY, who, who, 3, 1, b"one", standing)
    second, _ = remember(first, who, who, 3, 2, b"two", b"stands now")
    assert (standing_of(first), standing_of(second)) == (standing, b"stands now")
    assert facts_of(second) == [b"one", b"two"]
    third, _ = remember(second, who, who, 3, 3, None)
    assert standing_of(third) == b"" and facts_of(third) == [b"one", b"two"]
    assert standing_of(remember(third, who, who, 3, 4, b"four", bytes(MOST_STANDING))[0]) == bytes(MOST_STANDING)
    assert standing_of(remember(third, who, who, 3, 4, b"four", bytes(MOST_STANDING + 1))[0]) == b""


@pytest.mark.parametrize("name", sorted(name for name, of in catalogue().types.items() if of.status))
def test_through_the_ledger_it_is_what_the_facts_make_that_are_read_back(name: str) -> None:
    memory, writer = Memory(), StatusWriter(rules().codecs.status)
    memory.carry(*(event(name, attributes={"id": f"e-{n}", "sequence": str(n)}) for n in range(1, 5)))
    ((key, entry),) = [row for state in memory.states.values() for row in state.items()]
    found = [*map(memory.ledger._forms.read, facts_of(entry))]
    assert len(found) == 4
    status, standing = writer.write(key, 4, found)
    assert [record.value for record in memory.all("status.person")][-1] == status
    assert standing_of(entry) == standing
