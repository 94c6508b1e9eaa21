"""The story of an event as its owner hears it."""

from __future__ import annotations

from typing import Any

from world import NOW, VETERAN, Memory, catalogue, event, publisher, unpack

from hub.gateway.answers import EventStory, Receiver
from hub.gateway.story import Teller
from hub.views.receipts import Delivered, Verdict

MOD = publisher(VETERAN)


def verdicts(kafka: Memory) -> list[Verdict]:
    values = [unpack(record.value) for record in kafka.all(f"receipts.{MOD}")]
    return [Verdict(f"{v['origin_topic']}/{v['origin_partition']}/{v['origin_offset']}", v) for v in values]


def delivered(receiver: str, outcome: str = "DELIVERED", at: int = NOW) -> Delivered:
    value = {"event_id": "e", "receiver": receiver, "connector": "file_drop", "outcome": outcome, "delivered": at}
    return Delivered(at, value)


def told(kafka: Memory, *done: Delivered, fields: Any = None, language: Any = "en") -> list[EventStory]:
    found = verdicts(kafka)
    by_event = {str(v.value["event_id"]): list(done) for v in found}
    return Teller(catalogue(), language).stories(found, by_event, lambda _: fields)


def receivers(story: EventStory) -> dict[str, Receiver]:
    return {each.agency: each for each in story.receivers}


def test_an_applied_event_was_accepted_then_applied() -> None:
    kafka = Memory()
    kafka.carry(event(attributes={"id": "a-1"}))
    (story,) = told(kafka)
    assert [station.what for station in story.timeline] == ["accepted", "applied"]
    assert story.state == "applied"
    assert story.timeline[0].record == f"in.{MOD}/0/0"
    assert story.timeline[1].version == 1


def test_every_entitled_agency_is_named_with_what_it_gets_and_what_is_withheld() -> None:
    kafka = Memory()
    kafka.carry(event())
    (story,) = told(kafka, fields={})
    entitled = catalogue().entitlements[VETERAN]
    assert [r.agency for r in story.receivers] == [e.agency for e in entitled]
    tax = receivers(story)["tax"].fields
    assert tax and "surname" in tax.absent and "category" in tax.clear
    fields = [field["name"] for field in catalogue().types[VETERAN].schema["fields"]]
    assert all(
        r.fields and sorted(r.fields.clear + r.fields.masked + r.fields.absent) == sorted(fields)
        for r in story.receivers
    )


def test_a_condition_that_does_not_hold_withholds_the_event() -> None:
    kafka = Memory()
    kafka.carry(event())
    (story,) = told(kafka, fields={"service_branch": "ARMY", "district": "baki"})
    found = receivers(story)
    assert found["mod"].outcome == "offered"
    assert found["sbs"].outcome == "withheld"
    assert found["sbs"].when == {"service_branch": ["BORDER"]}
    assert found["ih-baki"].outcome == "offered"
    assert found["tax"].outcome == "offered"


def test_a_condition_that_cannot_be_looked_at_is_unknown() -> None:
    kafka = Memory()
    kafka.carry(event())
    (story,) = told(kafka, fields=None)
    assert receivers(story)["sbs"].outcome == "unknown"


def test_once_delivered_is_delivered() -> None:
    kafka = Memory()
    kafka.carry(event())
    (story,) = told(kafka, delivered("tax", at=NOW + 5), delivered("tax", "PARKED", NOW + 9), fields={})
    assert receivers(story)["tax"].outcome == "delivered"
    assert [s.what for s in story.timeline] == ["accepted", "applied", "delivered", "parked"]


def test_who_received_and_is_no_longer_entitled_is_still_named() -> None:
    kafka = Memory()
    kafka.carry(event())
    (story,) = told(kafka, delivered("moc"), fields={})
    assert receivers(story)["moc"].outcome == "delivered"
    assert receivers(story)["moc"].fields is None


def test_a_duplicate_belongs_to_the_story_of_its_event() -> None:
    kafka = Memory()
    kafka.carry(event(attributes={"id": "a-1"}), event(attributes={"id": "a-1"}))
    (story,) = told(kafka, fields={})
    assert story.state == "applied"
    assert [s.what for s in story.timeline].count("accepted") == 2
    assert "duplicate" in [s.what for s in story.timeline]


def test_a_refusal_says_what_and_how_to_mend_it_in_both_languages() -> None:
    kafka = Memory()
    kafka.carry(event(fin="short"))
    (en,), (az,) = told(kafka), told(kafka, language="az")
    refused, reddedilib = en.timeline[-1].refusal, az.timeline[-1].refusal
    assert refused and reddedilib
    assert (refused.code, refused.step, refused.pointer) == ("fin_invalid", "validate", "/fin")
    assert refused.fix != reddedilib.fix and "FİN" in reddedilib.fix
    assert en.receivers == []
    assert "short" not in en.model_dump_json()
