"""What a generated packer writes is what fastavro writes, for every record of the hub's own."""

from __future__ import annotations

import io

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import catalogue

from hub.avro.packer import compile_packer
from hub.avro.records import without_logical_types
from tests.laws.avro.strategies import values


@pytest.mark.parametrize("name", sorted(catalogue().records))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_packer_writes_what_fastavro_writes(name: str, data: st.DataObject) -> None:
    schema = without_logical_types(catalogue().records[name])
    value = data.draw(values(schema))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), value)
    pack, source = compile_packer(schema, b"HEAD!")
    assert pack(value) == b"HEAD!" + buffer.getvalue(), source
