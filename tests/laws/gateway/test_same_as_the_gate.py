"""Gateway and gate never disagree: what the gateway accepts the gate passes, what it refuses the gate would refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from gateway_room import event, examiner, publisher_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import NOW, Memory, Rec, catalogue, rules, unpack

from hub.avro.packed import unpack_headers
from hub.event import Outcome
from hub.gateway.examine import Examined, Incoming, Refusal
from hub.pipeline.gate import Gate
from hub.pipeline.identify import Pseudonyms, agency_secret, pseudonym
from hub.pipeline.refuse import DENIALS

TYPES = sorted(catalogue().types)
GATE, KAFKA = Gate(rules(), lambda: NOW), Memory()
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=12),
    st.sampled_from(["2026-11-22", "2126-01-01", "A" * 300, "1.0", "urn:az:agency:mod", "mod", "WAR", "AAAAAA1"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["string", "fin"]), st.none() | st.text(max_size=3), max_size=1),
)
NAMES = st.sampled_from(["sequence", "correlationid", "subject", "traceparent", "x", "Bad", "data", "datacontenttype"])


@st.composite
def events(draw: st.DrawFn) -> tuple[str, Any]:
    """An event with up to two oddities, and who sends it (mostly who may)."""
    made = event(draw(st.sampled_from(TYPES)))
    agency = publisher_of(made) if draw(st.integers(0, 9)) else draw(st.sampled_from(sorted(catalogue().agencies)))
    for _ in range(draw(st.integers(0, 2))):
        made = copy.deepcopy(made)
        where = draw(st.sampled_from(["attribute", "field", "new"]))
        if where == "field" and isinstance(made.get("data"), dict) and made["data"]:
            made["data"][draw(st.sampled_from(sorted(made["data"])))] = draw(ODD)
        else:
            made[draw(NAMES if where == "new" else st.sampled_from(sorted(made)))] = draw(ODD)
    return agency, made


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_what_the_gateway_accepts_the_gate_passes_and_the_ledger_knows_by_the_same_digests(sent: Any) -> None:
    agency, made = sent
    found = examiner().examine(agency, made)
    if isinstance(found, Refusal):
        assert found.rejection.detail and found.rejection.step
        return
    KAFKA.topics, KAFKA.states = {}, {}
    key, value, headers = found.line
    (passed,) = KAFKA.pass_gate([Rec(f"in.{agency}", 0, 0, key, value, unpack_headers(headers))])
    KAFKA.apply([passed])
    fact = unpack(KAFKA.all("state.ledger")[0].value)
    assert (fact["identity"], fact["content"]) == (found.identity, found.content)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_what_could_be_sent_and_is_refused_the_gate_refuses_with_the_same_code(sent: Any) -> None:
    agency, made = sent
    found = examiner().examine(agency, made)
    headers = headers_as_sent(made)
    encoded, _ = examiner()._encoded(made) if headers and isinstance(made.get("type"), str) else (None, None)
    if isinstance(found, Examined) or not isinstance(encoded, bytes):
        return
    result = GATE({}, [Incoming(f"in.{agency}", None, encoded, headers)])
    refused = [tally for tally in result.tally if tally.outcome is Outcome.REJECTED]
    assert [tally.code for tally in refused] == [found.rejection.code]
    assert bool(result.denials) == (found.rejection.code in DENIALS)


def headers_as_sent(made: Any) -> Any:
    from hub.gateway.envelope import headers_of

    found = headers_of(made)
    return list(found.items()) if isinstance(found, dict) else None


@pytest.mark.parametrize("name", TYPES)
def test_the_key_is_the_agencys_own_pseudonym_and_no_fin(name: str) -> None:
    made = event(name)
    agency = publisher_of(made)
    found = examiner().examine(agency, made)
    assert isinstance(found, Examined)
    of = catalogue().types[name]
    subject = str(made["data"][of.key_field]).encode()
    key = Pseudonyms(rules().secret).person_id(subject) if of.key_kind == "person" else subject
    assert found.line[0] == pseudonym(key, agency_secret(rules().secret, agency))
    assert subject not in found.line[0] and subject not in found.line[2]
