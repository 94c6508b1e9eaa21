"""A header name that is not UTF-8 stops nobody: the record is read, and those around it."""

from __future__ import annotations

from aiokafka.producer.message_accumulator import BatchBuilder

from hub.kafka.tolerance import TolerantRecords


def test_a_header_name_that_is_no_text_is_read_with_backslashes() -> None:
    def batch(name: str) -> bytes:
        builder = BatchBuilder(1 << 16, 0)
        for value in (b"before", b"after"):
            assert builder.append(timestamp=1, key=b"k", value=value, headers=[(name, b"x"), ("ce_id", b"1")])
        return bytes(builder._build())

    data = batch("good") + batch("ABCD").replace(b"ABCD", b"\xff\xfe\xfd\xfc") + batch("good")
    records = TolerantRecords(data)
    assert records.oldest == 1
    found = []
    while records.has_next():
        found += [(r.value, r.headers[0][0], r.headers[1]) for r in records.next_batch()]
    assert [value for value, _, _ in found] == [b"before", b"after"] * 3
    assert found[2][1:] == (r"\xff\xfe\xfd\xfc", ("ce_id", b"1"))
    assert found[0][1] == found[4][1] == "good"


def test_of_no_whole_batch_nobody_knows_when_it_was_written() -> None:
    assert TolerantRecords(b"").oldest is None
    assert TolerantRecords(bytes(40)).oldest is None
