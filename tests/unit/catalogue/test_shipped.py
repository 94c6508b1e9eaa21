"""The catalogue that is in the repository: what it promises to agencies, counted."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any

import fastavro
import pytest

from hub.avro.resolve import resolve
from hub.catalogue import SCHEMAS, Catalogue, Entitlement, EventType, load
from hub.catalogue.fields import CLASSES

CENTRAL = {"mlsp", "mod", "moh", "ssmc", "mhi", "azersigorta"}
MARTYR_PUBLISHERS = {"mod", "mia", "sbs", "ssmc", "sss", "fis", "moj"}
STATUS_STREAMS = {"martyr-family", "veteran", "disability"}


def test_it_loads_in_less_than_a_second() -> None:
    started = time.process_time()
    load()
    assert time.process_time() - started < 1


def test_thirty_one_partners_and_fifteen_providers(shipped: Catalogue) -> None:
    kinds = Counter(agency.kind for agency in shipped.agencies.values())
    assert (kinds["partner"], kinds["provider"]) == (31, 15)


def test_asan_and_the_six_central_bodies_are_partners(shipped: Catalogue) -> None:
    assert {shipped.agencies[code].kind for code in CENTRAL | {"asan"}} == {"partner"}


def test_twenty_six_services_of_six_central_and_fifteen_local_bodies(shipped: Catalogue) -> None:
    providers = {code for service in shipped.services.values() for code in service.providers}
    local = {code for code, agency in shipped.agencies.items() if agency.kind == "provider"}
    assert len(shipped.services) == 26
    assert providers == CENTRAL | local


def test_the_streams_of_the_first_release(shipped: Catalogue) -> None:
    assert len(shipped.types) >= 15
    assert {of.stream for of in shipped.types.values()} == set(shipped.streams)


def test_every_own_system_publishes_or_receives(shipped: Catalogue) -> None:
    busy = {e.agency for e in _entitlements(shipped)} | {c for c, a in shipped.agencies.items() if a.publishes}
    assert not set(shipped.agencies) - busy


def test_every_partner_and_provider_is_entitled_to_something(shipped: Catalogue) -> None:
    entitled = {e.agency for e in _entitlements(shipped)}
    assert {code for code, agency in shipped.agencies.items() if agency.kind != "own"} <= entitled


def test_every_type_has_a_publisher_and_a_receiver(shipped: Catalogue) -> None:
    published = {name for agency in shipped.agencies.values() for name in agency.publishes}
    assert set(shipped.types) == published
    assert all(shipped.entitlements.values())


def test_publishers_of_the_martyr_stream(shipped: Catalogue) -> None:
    martyr = "az.zefer.martyr_family.FamilyMemberRecognised"
    local = {code for code, agency in shipped.agencies.items() if agency.kind == "provider"}
    assert all(shipped.may_publish(code, martyr) for code in MARTYR_PUBLISHERS | local)
    assert not shipped.may_publish("stat", martyr)
    assert not shipped.may_publish("nobody", martyr)


def test_a_status_event_reaches_some_agencies_not_all(shipped: Catalogue) -> None:
    reach = [_reach(shipped, of) for of in shipped.types.values() if of.status and of.stream in STATUS_STREAMS]
    assert 4 <= sum(reach) / len(reach) <= 12
    assert max(reach) < 16


def test_a_request_reaches_the_one_provider_asked(shipped: Catalogue) -> None:
    asked = shipped.entitlements["az.zefer.service.ServiceRequested"]
    assert len({e.when["provider"] for e in asked}) == len(asked) == 21
    assert all(e.when["provider"] == {e.agency} for e in asked)
    assert len({e.mask for e in asked}) == 1


def test_a_completion_comes_back_to_the_centre_that_asked(shipped: Catalogue) -> None:
    told = {e.agency: e for e in shipped.entitlements["az.zefer.service.ServiceCompleted"]}
    assert told["vem"].when["centre"] == {"vem"}
    assert told["dost"].when["centre"] == {"dost"}


def test_masks_are_shared_and_different(shipped: Catalogue) -> None:
    assert len(shipped.projections) < len(_entitlements(shipped)) * 2 / 3
    assert any(mask.masked for mask in shipped.projections)
    assert any(len({e.mask for e in of}) > 5 for of in shipped.entitlements.values())


def test_one_person_may_be_kin_to_two_martyrs(shipped: Catalogue) -> None:
    slots = {of.status.slot for of in shipped.types.values() if of.status and of.status.kind == "martyr-family"}
    assert slots == {"martyr_case"}


def test_types_of_one_kind_have_the_same_values_in_their_slot(shipped: Catalogue) -> None:
    symbols: dict[str, list[Any]] = {}
    for of in shipped.types.values():
        if of.status and of.status.slot:
            field = next(f for f in of.schema["fields"] if f["name"] == of.status.slot)
            kind = field["type"]
            symbols.setdefault(of.status.kind, []).append(kind["symbols"] if isinstance(kind, dict) else kind)
    assert all(all(one == several[0] for one in several) for several in symbols.values())


def test_every_field_is_documented_and_classified(shipped: Catalogue) -> None:
    for of in shipped.types.values():
        for field in _fields(of.schema):
            assert field["doc"].endswith((".", ")")), field
            assert field["classification"] in CLASSES


def test_no_fin_is_carried_outside_identifiers(shipped: Catalogue) -> None:
    for of in shipped.types.values():
        named = {field["name"] for field in _fields(of.schema) if field["classification"] == "identifier"}
        assert {path[-1] for path in of.identifiers} == named
        assert (of.key_kind == "person") == (("fin",) in of.identifiers)


def test_referrals_are_de_identified(shipped: Catalogue) -> None:
    referral = shipped.types["az.zefer.disability.ReferralMade"]
    assert referral.key_kind == "case"
    assert referral.identifiers == ()


def test_the_breadth_of_avro_is_used(shipped: Catalogue) -> None:
    used = {kind for of in shipped.types.values() for kind in _kinds(of.schema)}
    assert used >= {"record", "enum", "array", "map", "fixed", "date", "timestamp-millis", "decimal"}
    assert used >= {"null", "boolean", "int", "long", "float", "double", "string", "bytes"}


def test_every_schema_parses_beside_all_the_others(shipped: Catalogue) -> None:
    named: dict[str, Any] = {}
    for subject, text in shipped.schemas():
        assert fastavro.parse_schema(json.loads(text), named_schemas=named)["name"] == subject
        assert resolve(json.loads(text)).label == subject


def test_subjects_come_in_one_order_and_once(shipped: Catalogue) -> None:
    subjects = [subject for subject, _ in shipped.schemas()]
    assert subjects == [subject for subject, _ in load().schemas()]
    assert len(subjects) == len(set(subjects))
    assert subjects[: len(shipped.types)] == sorted(shipped.types)


def test_the_hub_records_are_there(shipped: Catalogue) -> None:
    names = ["Activity", "AuditEntry", "DeadLetter", "DeliveryReceipt", "Fact", "PersonStatus", "Receipt"]
    assert list(shipped.records) == [f"hub.{name}" for name in names]


@pytest.mark.parametrize("letter", "əğıöüçşƏİ")
def test_names_are_written_in_azerbaijani(shipped: Catalogue, letter: str) -> None:
    assert any(letter in agency.name.az for agency in shipped.agencies.values())


def test_names_are_distinct_and_english_ones_are_plain(shipped: Catalogue) -> None:
    names = [agency.name for agency in shipped.agencies.values()]
    assert len({name.az for name in names}) == len({name.en for name in names}) == len(names)
    assert not [n.en for n in names if re.search("[ğışçöü]", n.en)]


def test_the_selection_of_local_bodies_is_marked_as_assumed(shipped: Catalogue) -> None:
    assert all(agency.assumed for agency in shipped.agencies.values() if agency.kind == "provider")


def test_entitlement_files_are_small() -> None:
    for path in (SCHEMAS / "catalogue" / "entitlements").glob("*.yaml"):
        assert len(path.read_text().splitlines()) <= 100, path


def _entitlements(shipped: Catalogue) -> list[Entitlement]:
    return [e for of in shipped.entitlements.values() for e in of]


def _reach(shipped: Catalogue, of: EventType) -> float:
    """Receivers of a type; the 15 local bodies, told apart by district, count as one at most."""
    local = {code for code, agency in shipped.agencies.items() if agency.kind == "provider"}
    receivers = {e.agency for e in shipped.entitlements[of.name]}
    branches = {e.agency for e in shipped.entitlements[of.name] if "service_branch" in e.when}
    return len(receivers - local - branches) + bool(receivers & local) + bool(branches)


def _fields(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [field for branch in node for field in _fields(branch)]
    if not isinstance(node, dict):
        return []
    below = [node.get("items"), node.get("values"), *(field["type"] for field in node.get("fields", ()))]
    return [*node.get("fields", ()), *(field for part in below for field in _fields(part))]


def _kinds(node: Any) -> set[str]:
    if isinstance(node, str):
        return {node}
    if isinstance(node, list):
        return {kind for branch in node for kind in _kinds(branch)}
    own = {str(node.get("logicalType", "record")), str(node["type"])}
    below = [node[key] for key in ("items", "values") if key in node]
    return own.union(*(_kinds(part) for part in [*below, *(f["type"] for f in node.get("fields", ()))]))
