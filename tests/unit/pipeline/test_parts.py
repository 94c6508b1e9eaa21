"""The small parts of the pipeline, each against a plainer way of saying the same."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import VETERAN, catalogue, headers, rules, sample

from hub.errors import Code
from hub.event import Rejection, placed_once
from hub.pipeline.attributes import CARRIED, REQUIRED, Attributes, milliseconds, read_attributes
from hub.pipeline.fold import Fact, fold
from hub.pipeline.identify import Pseudonyms, agency_secret, identity, pseudonym
from hub.pipeline.person import CONTENT, DIGEST, EMPTY, content_of, facts_of, remember, version
from hub.pipeline.route import Receiver, Routes

CANARY = "CANARYX"


def test_a_wrong_fin_is_said_in_words_and_beside_its_pointer_once() -> None:
    found = rules().checks[VETERAN](sample(VETERAN, fin="short"), "mod")
    assert found is not None and found[:2] == (Code.FIN_INVALID, "validate")
    assert found.detail == "/fin: expected 7 upper-case Latin letters and digits"
    assert placed_once(found.detail, found.pointer) == "expected 7 upper-case Latin letters and digits"
    assert placed_once("/name: at most 3; /fin: x", "/fin") == "/name: at most 3; /fin: x"
    assert placed_once(None, None) == ""


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_time_is_the_same_moment_in_any_zone(moment: datetime, minutes: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)), microsecond=moment.microsecond // 1000 * 1000)
    expected = (there - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert milliseconds(there.isoformat()) == expected
    assert milliseconds(there.isoformat().replace("T", "t")) == expected


@pytest.mark.parametrize(
    "text",
    ["2026-11-01T10:00:00Z", "2026-11-01t10:00:00z", "2026-11-01T10:00:00.123456789Z", "2026-11-01T14:00:00+04:00"],
)
def test_what_is_a_time(text: str) -> None:
    assert milliseconds(text) in (1_793_527_200_000, 1_793_527_200_123)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-01",
        "2026-11-01T10:00:00",
        "2026-11-01 10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2026-11-01T25:00:00Z",
        "20261101T100000Z",
        "2026-11-01T10:00:00Z\n",
        "2026-11-01T10:00:00.Z",
        "2026-11-01T10:00:00+25:00",
        "٢٠٢٦-11-01T10:00:00Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert milliseconds(text) is None


names = st.sampled_from(sorted({*CARRIED, "content-type"}))
anything = st.binary(max_size=30) | st.just(CANARY.encode())


@settings(deadline=None)
@given(st.lists(st.tuples(names, anything), max_size=4), st.sets(names))
def test_headers_of_any_kind_are_read_or_refused_without_a_word_of_theirs(
    more: list[tuple[str, bytes | None]], without: set[str]
) -> None:
    given_headers = [pair for pair in headers(VETERAN, "mod") if pair[0] not in without] + more
    found = read_attributes(given_headers)  # type: ignore[arg-type]
    assert isinstance(found, Attributes | Rejection)
    if isinstance(found, Rejection):
        assert found.code is Code.HEADER_INVALID and CANARY not in found.detail
        assert found.detail.startswith("header ")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_attribute_stands_exactly_once(name: str) -> None:
    whole = headers(VETERAN, "mod")
    missing = read_attributes([pair for pair in whole if pair[0] != name])
    twice = read_attributes([*whole, next(pair for pair in whole if pair[0] == name)])
    for found in (missing, twice):
        assert isinstance(found, Rejection) and name in found.detail


digests = st.binary(min_size=DIGEST, max_size=DIGEST)
few = st.lists(st.sampled_from([b"\0", b"\1"]), min_size=DIGEST, max_size=DIGEST).map(b"".join)


@given(st.dictionaries(few, digests, max_size=6), few)
def test_an_identity_is_found_where_it_stands_and_nowhere_across(seen: dict[bytes, bytes], sought: bytes) -> None:
    """Bytes of two neighbours that together look like an identity are none."""
    assert content_of(applied(seen), sought) == (seen[sought][:CONTENT] if sought in seen else None)
    sevens = b"\7" * DIGEST
    shifted = applied({sevens: b"\7" * (CONTENT - 1) + sought[:1] * CONTENT, sought[1:] + b"\7": sevens})
    assert content_of(shifted, sought) is None


def applied(seen: dict[bytes, bytes]) -> bytes:
    entry = EMPTY
    for who, what in seen.items():
        entry, _ = remember(entry, who, what, 0, None, None)
    return entry


marks = st.tuples(st.integers(0, 3), st.none() | st.integers(0, 12))


@given(st.lists(st.tuples(marks, st.none() | st.integers(1, 20_000)), max_size=9))
def test_an_entry_keeps_facts_of_any_length_and_the_highest_number_of_each_channel(
    applied_: list[tuple[tuple[int, int | None], int | None]],
) -> None:
    entry, highest = EMPTY, dict[int, int]()
    for count, ((channel, sequence), length) in enumerate(applied_, 1):
        fact = None if length is None else bytes([count]) * length
        entry, gap = remember(entry, bytes(DIGEST), bytes(DIGEST), channel, sequence, fact, bytes([count]) * count)
        assert version(entry) == count
        assert gap is (sequence is not None and channel in highest and sequence > highest[channel] + 1)
        if sequence is not None:
            highest[channel] = max(sequence, highest.get(channel, sequence))
    expected = [bytes([count]) * length for count, (_, length) in enumerate(applied_, 1) if length is not None]
    assert facts_of(entry) == expected


FIELDS = ("provider", "district")
values = st.sampled_from(["a", "b", "c"])
conditions = st.dictionaries(st.sampled_from(FIELDS), st.frozensets(values, min_size=1)).map(
    lambda when: tuple(sorted(when.items()))
)


@given(st.lists(conditions, max_size=8), st.fixed_dictionaries(dict.fromkeys(FIELDS, values)))
def test_receivers_are_those_whose_conditions_all_hold(
    whens: list[tuple[tuple[str, frozenset[str]], ...]], fields: dict[str, str]
) -> None:
    receivers = [Receiver(f"agency-{n}", f"out.agency-{n}", b"", when, 0, ("", "")) for n, when in enumerate(whens)]
    expected = {r.agency for r in receivers if all(fields[name] in of for name, of in r.when)}
    found = [receiver.agency for receiver in Routes(receivers).entitled(fields)]
    assert sorted(found) == sorted(expected), "each once"


def test_every_route_of_the_catalogue_agrees_with_its_entitlements() -> None:
    for name, entitlements in catalogue().entitlements.items():
        fields = sample(name)
        expected = {e.agency for e in entitlements if all(fields[f] in of for f, of in e.when.items())}
        assert {r.agency for r in rules().routes[name].entitled(fields)} == expected


def test_a_person_is_a_keyed_pseudonym_and_another_one_towards_each_agency() -> None:
    secret = b"s" * 32
    person = Pseudonyms(secret).person_id(b"7QWERTY").decode()
    assert person == hmac.new(secret, b"7QWERTY", hashlib.sha256).hexdigest()[:32]
    assert person != Pseudonyms(b"t" * 32).person_id(b"7QWERTY").decode()
    seen = {pseudonym(person.encode(), agency_secret(secret, agency)) for agency in catalogue().agencies}
    assert len(seen) == len(catalogue().agencies) and person.encode() not in seen


def test_parts_of_an_identity_do_not_run_into_each_other() -> None:
    assert len({identity(b"a", b"bc", b"d"), identity(b"ab", b"c", b"d"), identity(b"a", b"b", b"cd")}) == 3


DAYS = range(20)
days = st.integers(DAYS.start, DAYS.stop - 1)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Decisions on one status, in any order, none of which undoes another."""
    found = []
    for number in range(draw(st.integers(0, 7))):
        start = draw(days)
        until = draw(st.none() | st.integers(start + 1, DAYS.stop))
        end = draw(st.booleans()) and draw(st.booleans())
        attributes = (("number", number),)
        found.append(
            Fact(
                start,
                draw(st.integers(0, 2)),
                "mod",
                -1,
                f"e-{number}",
                "veteran",
                "veteran",
                None,
                "end" if end else "set",
                None if end else until,
                f"D-{number}",
                None,
                attributes,
            )
        )
    return found


@given(facts())
def test_on_each_day_holds_what_the_last_decision_effective_by_then_says(given_facts: list[Fact]) -> None:
    intervals = [interval for of in fold(given_facts).values() for interval in of]
    for day in DAYS:
        said = max((fact for fact in given_facts if fact.effective <= day), default=None)
        holds = said is not None and said.transition == "set" and (said.until is None or day < said.until)
        found = [i.attributes for i in intervals if i.start <= day and (i.until is None or day < i.until)]
        assert found == ([said.attributes] if said is not None and holds else [])
    assert intervals == sorted(intervals) and all(i.until is None or i.start < i.until for i in intervals)


def test_an_annulled_decision_never_was() -> None:
    first = Fact(5, 0, "mod", -1, "a", "veteran", "veteran", None, "set", None, "D-1", None, (("n", 1),))
    second = first._replace(effective=9, id="b", document="D-2", attributes=(("n", 2),))
    annul = first._replace(effective=12, id="c", transition="annul", document="D-3", voids="D-2", attributes=())
    for order in ([first, second, annul], [annul, second, first]):
        assert fold(order) == fold([first])


def test_a_decision_may_carry_the_number_that_it_replaces() -> None:
    """A correction under its predecessor's own number does not undo itself."""
    first = Fact(5, 0, "mod", -1, "a", "veteran", "veteran", None, "set", None, "D-1", None, (("n", 1),))
    again = first._replace(id="b", voids="D-1", attributes=(("n", 2),))
    ((interval,),) = fold([again, first]).values()
    assert interval.attributes == (("n", 2),)
