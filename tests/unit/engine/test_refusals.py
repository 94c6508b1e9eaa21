"""Refusals in a row, as one number of the gate counts them."""

from __future__ import annotations

from collections import Counter

from world import Rec

from hub.engine.refusals import Rows
from hub.errors import Code
from hub.event import Outcome, Result, Tally

LIMIT = 10


def batch(agency: str, good: int = 0, bad: int = 0, code: Code = Code.NOT_AVRO) -> Counter[Tally]:
    """What the gate counts: each record as taken, and those refused once more."""
    tally = Counter({Tally(agency, "veteran", Outcome.ACCEPTED): good + bad})
    tally[Tally(agency, "unknown", Outcome.REJECTED, code)] += bad
    return +tally


def over(rows: Rows, *tallies: Counter[Tally]) -> list[bool]:
    """Batch by batch, whether an agency would be paused after it."""
    found = []
    for tally in tallies:
        after = rows.after(tally)
        records = [Rec(f"in.{each.agency}", 2, 7, None, b"", ()) for each in tally]
        found.append(bool(after and rows.pauses(after, records, Result(tally=tally), "gate.2", 1)))
        rows.committed(after)
    return found


def test_a_row_goes_on_from_batch_to_batch_until_the_limit() -> None:
    assert over(Rows(LIMIT), batch("mod", bad=6), batch("mod", bad=3), batch("mod", bad=1)) == [False, False, True]


def test_one_good_record_ends_a_row() -> None:
    assert over(Rows(LIMIT), batch("mod", bad=9), batch("mod", good=1, bad=20), batch("mod", bad=9)) == [False] * 3


def test_a_batch_without_refusals_ends_a_row() -> None:
    assert over(Rows(LIMIT), batch("mod", bad=9), batch("mod", good=1), batch("mod", bad=9)) == [False] * 3


def test_each_agency_has_a_row_of_its_own() -> None:
    mixed = batch("mod", bad=LIMIT) + batch("mes", good=50)
    rows, result = Rows(LIMIT), Result(tally=mixed)
    records = [
        Rec("in.mes", 2, 1, None, b"", ()),
        Rec("in.mod", 2, 7, None, b"", ()),
        Rec("in.mes", 2, 2, None, b"", ()),
    ]
    (pause,) = rows.pauses(rows.after(mixed), records, result, "gate.2", 5)
    assert (pause.agency, pause.since, pause.by) == ("mod", 5, "gate.2")
    assert pause.reason == "10 refusals in a row up to in.mod/2/7, most of them not_avro"
    (denial,) = result.denials
    assert (denial.agency, denial.code, denial.origin) == ("mod", Code.NOT_AVRO, "in.mod/2/7")


def test_what_an_outage_of_the_registry_refuses_is_not_counted_nor_forgiven() -> None:
    rows = Rows(LIMIT)
    rows.committed(rows.after(batch("mod", bad=6)))
    rows.committed(rows.after(batch("mod", bad=600) + batch("mes", bad=4), spared={"mod"}))
    assert rows.after(batch("mod", bad=1) + batch("mes", bad=1)) == {"mod": 7, "mes": 5}
    assert rows.after(batch("mod", good=1, bad=1), spared={"mod"}) == {"mod": 0}


def test_one_that_was_resumed_begins_anew() -> None:
    assert over(Rows(LIMIT), batch("mod", bad=LIMIT), batch("mod", bad=9), batch("mod", bad=1)) == [True, False, True]


def test_a_batch_that_was_not_committed_does_not_count() -> None:
    rows = Rows(LIMIT)
    for _ in range(5):
        assert rows.after(batch("mod", bad=6)) == {"mod": 6}
