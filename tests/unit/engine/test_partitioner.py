"""Where a key goes is the same for every client: Java's murmur2, as aiokafka has it too."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import example, given
from hypothesis import strategies as st

from hub.engine.partitioner import murmur2, partition_of


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff" * 7)
def test_the_hash_is_aiokafkas(key: bytes) -> None:
    assert murmur2(key) == theirs(key)


@given(st.binary(max_size=80), st.integers(1, 256))
def test_the_partition_is_aiokafkas(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), None)


def test_known_values_of_javas_own_tests() -> None:
    """Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2 (signed there, unsigned here)."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    known |= {b"a-little-bit-longer-string": -1486304829, b"abc": 479470107}
    assert {key: murmur2(key) for key in known} == {key: value % 2**32 for key, value in known.items()}
