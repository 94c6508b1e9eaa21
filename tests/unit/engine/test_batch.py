"""Record batches are read back by aiokafka's own parser, as the broker reads them: checksum, offsets, every part."""

from __future__ import annotations

from typing import Any

from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from hub.avro.packed import pack_headers, unpack_headers
from hub.event import Row
from hub.kafka.batch import RECORDS, record_batches

TIME = 1_800_000_000_000
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
headers = st.lists(st.tuples(texts, st.binary(max_size=80)), max_size=5)
rows = st.tuples(
    st.just("t"),
    st.just(0),
    st.none() | st.binary(max_size=200),
    st.none() | st.binary(max_size=200) | st.integers(8000, 9000).map(bytes),
    headers | headers.map(pack_headers),
)


def read(found: list[Row], limit: int = 1 << 20) -> list[list[Any]]:
    """What a reader finds in each batch; the checksum holds."""
    batches = []
    for batch in record_batches(found, TIME, limit):
        records = MemoryRecords(batch.written(7, 1, 42))
        (header,) = iter([records.next_batch()])
        assert header.validate_crc() and header.is_transactional and not records.has_next()
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 1, 42)
        batches.append(list(header))
        assert [record.offset for record in batches[-1]] == list(range(batch.count))
    return batches


@given(st.lists(rows, min_size=1, max_size=30), st.sampled_from([100, 1000, 1 << 20]))
def test_what_is_written_is_read(found: list[Row], limit: int) -> None:
    got = [record for batch in read(found, limit) for record in batch]
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in got] == [
        (key, value, list(unpack_headers(of)), TIME) for _, _, key, value, of in found
    ]


@given(headers)
def test_packed_headers_are_pairs_again(found: list[tuple[str, bytes]]) -> None:
    assert list(unpack_headers(pack_headers(found))) == found


def test_a_header_may_have_no_value() -> None:
    ((record,),) = read([("t", 0, b"k", b"v", [("a", None)])])  # type: ignore[list-item]
    assert list(record.headers) == [("a", None)]


def test_a_batch_ends_at_its_limit_and_a_record_may_be_larger() -> None:
    row: Row = ("t", 0, b"k", bytes(600), ())
    assert [len(batch) for batch in read([row] * 5, 1500)] == [2, 2, 1]
    assert [len(batch) for batch in read([row] * 3, 100)] == [1, 1, 1]
    assert [len(batch) for batch in read([("t", 0, b"", b"", ())] * (RECORDS + 3))] == [RECORDS, 3]
