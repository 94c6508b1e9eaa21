"""What an agency sees of a status: the catalogue's grants and nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import VETERAN, Memory, catalogue, event, unpack

from hub.gateway.entitled_status import EPOCH, MASK, EntitledStatus

TODAY = date(2026, 11, 23)
DAY = (TODAY - EPOCH).days
AGENCIES = sorted(catalogue().agencies)
MARTYR = "az.zefer.martyr_family.MartyrRecognised"
CONTRACT = "az.zefer.employment.LabourContractNotified"
FAMILY = "az.zefer.martyr_family.FamilyMemberRecognised"


def status(*types: str, **given: Any) -> dict[str, Any]:
    """The status that the hub itself makes of one event of each of these types."""
    kafka = Memory()
    for name in types:
        fields = {key: value for key, value in given.items() if key in field_names(name)}
        kafka.carry(event(name, **{effective(name): DAY - 10}, **fields))
    return unpack(kafka.all("status.person")[-1].value)


def field_names(name: str) -> set[str]:
    return {field["name"] for field in catalogue().types[name].schema["fields"]}


def effective(name: str) -> str:
    rule = catalogue().types[name].status
    assert rule
    return rule.effective


def seen(agency: str, of: dict[str, Any], day: date = TODAY) -> list[dict[str, Any]]:
    return [part for part, _ in EntitledStatus(catalogue()).parts(agency, of, day)]


def test_an_agency_sees_its_clear_fields_and_no_others() -> None:
    (part,) = seen("tax", status(VETERAN))
    assert part["fields"].keys() == {"category"}  # no service_branch; document_number only in corrections
    assert part["from"] == (TODAY - timedelta(days=10)).isoformat()
    (whole,) = seen("zefer", status(VETERAN))
    assert whole["fields"].keys() == {"category", "service_branch", "document_number"}


def test_an_agency_without_entitlement_sees_nothing_and_may_not_ask() -> None:
    entitled = EntitledStatus(catalogue())
    without = [agency for agency in AGENCIES if not entitled.covers(agency)]
    assert without
    of = status(VETERAN, MARTYR, CONTRACT, FAMILY)
    assert all(seen(agency, of) == [] for agency in without)


def test_who_does_not_see_the_fin_of_an_event_may_not_ask_by_fin() -> None:
    for name, rows in catalogue().entitlements.items():
        of = catalogue().types[name]
        for entitlement in rows:
            if of.status and of.status.transition == "set" and of.key_field not in entitlement.clear:
                assert [p for p in seen(entitlement.agency, status(name)) if p["kind"] == of.status.kind] == []


def test_a_condition_on_what_the_status_shows_is_held_to() -> None:
    assert len(seen("mod", status(VETERAN, service_branch="ARMY"))) == 1
    assert seen("mod", status(VETERAN, service_branch="BORDER")) == []


def test_a_condition_on_what_the_status_does_not_show_denies_and_is_told() -> None:
    assert seen("ih-baki", status(VETERAN, district="baki")) == []
    covered = {each.kind: each for each in EntitledStatus(catalogue()).covers("ih-baki")}
    assert not covered["veteran"].answerable
    assert covered["veteran"].when == {"district": ["baki"]}


@pytest.mark.parametrize(("day", "count"), [(-11, 0), (-10, 1), (0, 1), (19, 1), (20, 0)])
def test_a_status_holds_from_its_first_day_until_its_last(day: int, count: int) -> None:
    of = status(VETERAN, valid_until=DAY + 20)
    assert len(seen("zefer", of, TODAY + timedelta(days=day))) == count


def test_the_end_is_told_only_to_who_would_hear_of_it() -> None:
    of = status(VETERAN, valid_until=DAY + 20)
    for agency in AGENCIES:
        grants = {e.type: e for rows in catalogue().entitlements.values() for e in rows if e.agency == agency}
        for part in seen(agency, of):
            if "until" in part:
                assert "ended_on" in grants["az.zefer.veteran.VeteranStatusEnded"].clear
                assert "valid_until" in grants[VETERAN].clear


def test_a_part_that_no_known_type_makes_is_shown_to_nobody() -> None:
    of = status(VETERAN)
    of["statuses"][0]["intervals"][0]["attributes"]["new_field"] = "x"
    assert all(seen(agency, of) == [] for agency in AGENCIES)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(AGENCIES), st.sets(st.sampled_from([VETERAN, MARTYR, CONTRACT, FAMILY]), min_size=1))
def test_nothing_is_shown_that_some_entitlement_does_not_grant(agency: str, types: set[str]) -> None:
    """Whatever is shown, one entitlement of that agency to a type of that kind has it."""
    grants = [e for rows in catalogue().entitlements.values() for e in rows if e.agency == agency]
    for part in seen(agency, status(*sorted(types))):
        of_kind = [e for e in grants if (r := catalogue().types[e.type].status) and r.kind == part["kind"]]
        for name, value in part["fields"].items():
            if name in part["masked"]:
                assert value in (MASK, None) and any(name in e.masked for e in of_kind)
            else:
                assert any(name in e.clear for e in of_kind)
