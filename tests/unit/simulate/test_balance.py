"""The audit finds what it is there to find: each way in which a hub can be wrong turns a good run red."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from world import Rec, catalogue, moved_on, unpack

from hub.event import header
from hub.simulate.planned import Sort
from tests.unit.simulate.books import Log, Run, audit, codec


def kind_of(record: Rec) -> str:
    return "out" if record.topic.startswith("out.") else record.topic.partition(".")[0]


def verdict(name: str) -> Callable[[Rec], bool]:
    return lambda record: unpack(record.value).get("verdict") == name


def rewritten(record: Rec, name: str, **changed: Any) -> bytes:
    """The same hub record with other fields."""
    packer = codec(name)
    return packer.pack(packer.unpack(record.value or b"") | changed)


def problems(records: Log) -> str:
    """All that a run with something wrong is told, in one text; it is not balanced."""
    report = audit(records).report()
    assert report["balanced"] is False
    return "\n".join(report["problems"])


def test_a_good_run_is_balanced(run: Run) -> None:
    balance = audit(run.records)
    report = balance.report(run.report)
    assert balance.settled
    assert report["problems"] == []
    assert report["balanced"] is True
    assert report["accepted"] == sum(len(offsets) for offsets in run.report.expected.values())
    assert report["accepted"] == report["applied"] + report["duplicate"] + sum(report["rejected"].values())
    assert report["delivered"] == report["offered"]
    assert report["latency_ms"]["delivered"] == {"p50": 40, "p95": 40, "p99": 40}


def test_a_version_that_the_catalogue_does_not_have_yet_changes_nothing(run: Run) -> None:
    report = audit(run.records, moved_on()).report(run.report)
    assert report["problems"] == [] and report["balanced"] is True


def test_counts_are_per_agency_too(run: Run) -> None:
    report = audit(run.records).report()
    agencies = report["agencies"].values()
    assert set(report["agencies"]) == set(catalogue().agencies)
    assert sum(row["accepted"] for row in agencies) == report["accepted"]
    for row in agencies:
        assert row["accepted"] == row["applied"] + row["duplicate"] + sum(row["rejected"].values())


def test_the_order_of_reading_does_not_matter(run: Run) -> None:
    assert audit(run.records[::-1]).report(run.report)["balanced"] is True


def test_a_run_half_way_is_in_flight_and_not_wrong_for_ever(run: Run) -> None:
    inputs = [record for record in run.records if kind_of(record) == "in"]
    balance = audit(inputs)
    assert not balance.settled
    assert balance.report()["in_flight"] == len(inputs)
    for record in run.records:
        if kind_of(record) != "in":
            balance.take(record)
    assert balance.settled
    assert balance.report(run.report)["balanced"] is True


def test_a_lost_receipt(run: Run) -> None:
    lost = run.of("receipts", verdict("APPLIED"))
    assert "no verdict on an input record: 1" in problems(run.without(lost))


def test_a_doubled_receipt(run: Run) -> None:
    assert "two verdicts on one input record: 1" in problems(run.with_more(run.of("receipts", verdict("APPLIED"))))


def test_a_receipt_of_nothing(run: Run) -> None:
    assert "a verdict without its input record: 1" in problems(run.without(run.of("in")))


def test_a_receipt_under_another_key(run: Run) -> None:
    record = run.of("receipts", verdict("APPLIED"))
    assert "another key" in problems(run.with_changed(record, key=b"in.mod/0/999999"))


def test_a_lost_offer(run: Run) -> None:
    lost = run.of("out")
    told = problems(run.without(lost))
    assert "not offered to an entitled agency: 1" in told
    assert f"to {lost.topic.removeprefix('out.')}" in told


def test_a_doubled_offer(run: Run) -> None:
    assert "offered twice to one agency: 1" in problems(run.with_more(run.of("out")))


def test_an_over_delivery(run: Run) -> None:
    record = run.of("out")
    event_id = header(record.headers, "ce_id")
    got = {r.topic for r in run.records if kind_of(r) == "out" and header(r.headers, "ce_id") == event_id}
    stranger = next(code for code in catalogue().agencies if f"out.{code}" not in got)
    assert "offered to an agency that is not entitled: 1" in problems(run.with_more(record, f"out.{stranger}"))


def test_an_offer_of_what_was_never_applied(run: Run) -> None:
    record = run.of("out")
    headers = [(name, b"f" * 32 if name == "ce_id" else value) for name, value in record.headers]
    assert "offered, but of no applied event: 1" in problems(run.with_changed(record, headers=headers))


def test_a_field_that_should_be_masked(run: Run) -> None:
    record = run.of("out", lambda r: b"***" in (r.value or b""))
    told = problems(run.with_changed(record, value=(record.value or b"").replace(b"***", b"Eli")))
    assert "offered with other fields or values than the entitlement says: 1" in told
    assert "Eli" not in told


def test_another_agency_s_projection(run: Run) -> None:
    """Every value is right, but the agency sees more or less than its own entitlement says."""
    record = run.of("out")
    event_id = header(record.headers, "ce_id")
    other = run.of(
        "out", lambda r: header(r.headers, "ce_id") == event_id and (r.value or b"")[:5] != (record.value or b"")[:5]
    )
    assert "other fields or values" in problems(run.with_changed(record, value=other.value))


def test_a_value_that_cannot_be_read(run: Run) -> None:
    record = run.of("out")
    assert "other fields or values" in problems(run.with_changed(record, value=b"\0\0\0\0\0"))


def test_a_lost_dead_letter(run: Run) -> None:
    assert "rejected without a dead letter: 1" in problems(run.without(run.of("dlq")))


def test_a_doubled_dead_letter(run: Run) -> None:
    assert "two dead letters of one input record: 1" in problems(run.with_more(run.of("dlq")))


def test_a_dead_letter_of_an_event_that_was_applied(run: Run) -> None:
    letter, applied = run.of("dlq"), run.of("receipts", verdict("APPLIED"))
    said = unpack(applied.value)
    origin = {name: said[name] for name in ("origin_topic", "origin_partition", "origin_offset")}
    more = replace(
        letter,
        topic=said["origin_topic"].replace("in.", "dlq."),
        offset=1_000_000,
        key=applied.key,
        value=rewritten(letter, "hub.DeadLetter", **origin),
    )
    assert "a dead letter without a rejection: 1" in problems([*run.records, more])


def test_a_dead_letter_with_one_byte_changed(run: Run) -> None:
    letter = run.of("dlq", lambda r: bool(unpack(r.value)["value"]))
    value = bytearray(unpack(letter.value)["value"])
    value[-1] ^= 1
    changed = rewritten(letter, "hub.DeadLetter", value=bytes(value))
    assert "a dead letter's bytes are not those that came in: 1" in problems(run.with_changed(letter, value=changed))


def test_a_dead_letter_with_another_code(run: Run) -> None:
    letter = run.of("dlq", lambda r: unpack(r.value)["code"] != "internal")
    changed = rewritten(letter, "hub.DeadLetter", code="internal")
    assert "dead letter and receipt differ in code: 1" in problems(run.with_changed(letter, value=changed))


def test_a_lost_delivery_receipt(run: Run) -> None:
    lost = run.of("receipts", lambda r: "outcome" in unpack(r.value))
    report = audit(run.without(lost)).report()
    assert report["undelivered"] == 1
    assert not report["balanced"]


def test_a_second_delivery_receipt_is_allowed(run: Run) -> None:
    again = run.of("receipts", lambda r: "outcome" in unpack(r.value))
    assert audit(run.with_more(again)).report()["balanced"] is True


def test_a_parked_delivery_is_not_a_delivery(run: Run) -> None:
    record = run.of("receipts", lambda r: "outcome" in unpack(r.value))
    changed = rewritten(record, "hub.DeliveryReceipt", outcome="PARKED")
    balance = audit(run.with_changed(record, value=changed))
    assert not balance.settled
    assert balance.report()["undelivered"] == 1


def test_a_delivery_receipt_of_nothing(run: Run) -> None:
    record = run.of("receipts", lambda r: "outcome" in unpack(r.value))
    more = replace(record, offset=1_000_000, value=rewritten(record, "hub.DeliveryReceipt", out_offset=999_999))
    assert "a delivery receipt without its record: 1" in problems([*run.records, more])


def test_a_duplicate_called_applied(run: Run) -> None:
    record = run.of("receipts", verdict("DUPLICATE"))
    changed = rewritten(record, "hub.Receipt", verdict="APPLIED", event_id="e" * 32, version=2)
    told = problems(run.with_changed(record, value=changed))
    assert "applied twice: 1" in told
    assert "not offered to an entitled agency" in told


def test_a_conflict_called_a_duplicate(run: Run) -> None:
    record = run.of("receipts", lambda r: unpack(r.value).get("code") == "identity_conflict")
    changed = rewritten(record, "hub.Receipt", verdict="DUPLICATE", code=None)
    assert "duplicate and conflict are confused: 1" in problems(run.with_changed(record, value=changed))


def test_a_version_left_out(run: Run) -> None:
    record = run.of("receipts", lambda r: unpack(r.value).get("version") == 1)
    changed = rewritten(record, "hub.Receipt", version=7)
    assert "status versions of a person with a gap or twice: 1" in problems(run.with_changed(record, value=changed))


def test_an_event_marked_late_on_its_way_out_only(run: Run) -> None:
    record = run.of("out", lambda r: header(r.headers, "ce_late") is None)
    headers = [*record.headers, ("ce_late", b"true")]
    assert "differ in late or version: 1" in problems(run.with_changed(record, headers=headers))


def test_another_outcome_than_planned(run: Run) -> None:
    place, offsets = next(iter(run.report.expected.items()))
    offset = next(offset for offset, sort in offsets.items() if sort is not Sort.FIN_INVALID)
    changed = {**run.report.expected, place: {**offsets, offset: Sort.FIN_INVALID}}
    report = audit(run.records).report(replace(run.report, expected=changed))
    assert "another outcome than planned: 1" in report["problems"][0]


@pytest.mark.parametrize("kind", ["in", "receipts", "dlq", "out"])
def test_problems_name_places_and_nobody(run: Run, kind: str) -> None:
    fins = {
        body["fin"]
        for record in run.records
        if kind_of(record) == "in" and (body := readable(record)) and "fin" in body
    }
    assert len(fins) > 100
    told = problems([record for record in run.records if kind_of(record) != kind])
    assert not [fin for fin in fins if fin in told]


def readable(record: Rec) -> dict[str, Any]:
    try:
        return unpack(record.value)
    except Exception:  # spoiled records raise what they like
        return {}
