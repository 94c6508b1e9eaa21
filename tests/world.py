"""A small world for tests of the pipeline: the shipped catalogue, valid events of any type, and a memory Kafka."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import fastavro

from hub.avro.codec import encode
from hub.avro.packed import unpack_headers
from hub.avro.records import wire_header, without_logical_types
from hub.catalogue import Catalogue, load
from hub.engine.partitioner import partition_of
from hub.event import Output, Result, Row
from hub.pipeline.gate import Gate
from hub.pipeline.ledger import Ledger
from hub.pipeline.person import standing_at
from hub.pipeline.rulebook import Rulebook, compile_rulebook
from hub.registry.schemas import Schemas

SECRET = b"a secret for tests, not for persons"
PARTITIONS = 4
NOW = 1_800_000_000_000
TEXTS = (
    "sample",
    "5ZK3LMP",
    "2026-000001",
    "0123456789",
    "A01",
    "1.1",
    "1HGBH41JXMN109186",
    "+994501234567",
    "2026",
)
"""One of them matches any pattern of the shipped schemas."""
VETERAN = "az.zefer.veteran.VeteranStatusGranted"


@cache
def catalogue() -> Catalogue:
    return load()


@cache
def schemas() -> Schemas:
    found = Schemas()
    found.assign(catalogue().schemas())
    return found


@cache
def moved_on() -> Schemas:
    """As `schemas`, and of every subject a newer version, which this hub's catalogue does not have yet."""
    found, field = Schemas(), {"name": "note", "type": ["null", "string"], "default": None}
    field |= {"doc": "A note.", "classification": "open"}
    found.assign(catalogue().schemas())
    newer = ((subject, json.loads(text)) for subject, text in catalogue().schemas())
    found.assign((s, json.dumps(schema | {"fields": [field, *schema["fields"]]})) for s, schema in newer)
    return found


@cache
def rules() -> Rulebook:
    return compile_rulebook(catalogue(), schemas(), SECRET, PARTITIONS)


@dataclass(frozen=True)
class Rec:
    """A record as the pipeline sees it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int = NOW


def sample(type_name: str, **given: Any) -> dict[str, Any]:
    """A valid event body (raw: days, milliseconds) of that type; `given` replaces top-level fields."""
    schema = catalogue().types[type_name].schema
    value = {f["name"]: _value(f["type"], f) for f in schema["fields"]}
    for left, sign, right in schema.get("rules", ()):
        if sign == "provides":
            value[left] = catalogue().services[value[right]].providers[0]
        elif sign == "is":
            value[left] = value[left] if value[left] in _publishers(type_name) else _publishers(type_name)[0]
        elif value[left] is not None and value[right] is not None:
            value[right] = value[left] + 1
    return value | given


def _value(avro: Any, field_: Mapping[str, Any]) -> Any:
    if isinstance(avro, list):
        return None if "null" in avro else _value(avro[0], field_)
    if isinstance(avro, str):
        return _primitive(avro, field_)
    match avro["type"]:
        case "record":
            return {f["name"]: _value(f["type"], f) for f in avro["fields"]}
        case "enum":
            return avro["symbols"][0]
        case "array":
            return [_value(avro["items"], field_)]
        case "map":
            return {"k": _value(avro["values"], field_)}
        case "fixed":
            return bytes(avro["size"])
    return _primitive(avro["type"], field_)


def _primitive(kind: str, field_: Mapping[str, Any]) -> Any:
    if kind == "string":
        if "catalogue" in field_:
            return next(iter(getattr(catalogue(), field_["catalogue"])))
        return _matching(field_.get("pattern"))
    low = field_.get("minimum", 1)
    return {"boolean": True, "bytes": b"\x01", "float": float(low), "double": float(low)}.get(kind, int(low))


def _matching(pattern: str | None) -> str:
    return next(text for text in TEXTS if pattern is None or re.fullmatch(pattern, text))


def _publishers(type_name: str) -> list[str]:
    return [a.code for a in catalogue().agencies.values() if type_name in a.publishes]


def publisher(type_name: str) -> str:
    """An agency that may publish it, and says what `sample` says."""
    schema = catalogue().types[type_name].schema
    named = [left for left, sign, _ in schema.get("rules", ()) if sign == "is"]
    return str(sample(type_name)[named[0]]) if named else _publishers(type_name)[0]


def headers(type_name: str, agency: str, **given: str) -> list[tuple[str, bytes]]:
    attributes = {
        "specversion": "1.0",
        "id": "e-1",
        "source": f"urn:az:agency:{agency}",
        "type": type_name,
        "time": "2026-11-01T10:00:00Z",
    } | given
    return [(f"ce_{name}", text.encode()) for name, text in attributes.items()] + [
        ("content-type", b"application/avro")
    ]


@cache
def raw_schema(type_name: str) -> dict[str, Any]:
    """As the type's, of plain integers; one object, so that its codec is compiled once."""
    found: dict[str, Any] = without_logical_types(catalogue().types[type_name].schema)
    return found


def body(type_name: str, value: Mapping[str, Any]) -> bytes:
    """Wire bytes of a raw value."""
    return encode(raw_schema(type_name), dict(value), wire_header(schemas().id_of(type_name)))


def event(
    type_name: str = VETERAN,
    agency: str | None = None,
    attributes: Mapping[str, str] | None = None,
    **given: Any,
) -> Rec:
    """A record of `in.<agency>`; give it its place with `Memory.send`."""
    by = agency or publisher(type_name)
    return Rec(
        f"in.{by}",
        0,
        0,
        b"k",
        body(type_name, sample(type_name, **given)),
        headers(type_name, by, **(attributes or {})),
    )


def unpack(value: bytes | None) -> dict[str, Any]:
    """Any record that the hub wrote, by its schema id."""
    assert value is not None
    result = fastavro.schemaless_reader(io.BytesIO(value[5:]), _parsed(int.from_bytes(value[1:5], "big")), None)
    assert isinstance(result, dict)
    return result


@cache
def _parsed(schema_id: int) -> Any:
    return fastavro.parse_schema(without_logical_types(json.loads(schemas().by_id(schema_id).schema)))


@dataclass
class Memory:
    """Gate and ledger over lists: what was written to each (topic, partition), and the ledger's state."""

    topics: dict[tuple[str, int], list[Rec]] = field(default_factory=dict)
    states: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    rulebook: Rulebook = field(default_factory=rules)

    def __post_init__(self) -> None:
        self.gate = Gate(self.rulebook, lambda: NOW)
        self.ledger = Ledger(self.rulebook, lambda: NOW)

    def write(self, row: Row) -> Rec:
        output = Output(*row)
        partition = output.partition
        if partition is None:
            partition = partition_of(output.key or b"", PARTITIONS)
        log = self.topics.setdefault((output.topic, partition), [])
        log.append(Rec(output.topic, partition, len(log), output.key, output.value, unpack_headers(output.headers)))
        return log[-1]

    def send(self, record: Rec, partition: int = 0) -> Rec:
        """Put a record of `in.*` at the end of its partition."""
        return self.write(Output(record.topic, partition, record.key, record.value, record.headers))

    def pass_gate(self, records: Sequence[Rec]) -> list[Rec]:
        """One batch through the gate; returns what it wrote to `events.*`."""
        written = [self.write(output) for output in self.gate({}, records).outputs]
        return [record for record in written if record.topic.startswith("events.")]

    def apply(self, records: Sequence[Rec]) -> Result:
        """One batch of one partition through the ledger; its changes become state."""
        (partition,) = {record.partition for record in records}
        state = self.states.setdefault(partition, {})
        result = self.ledger(state, records)
        for output in result.outputs:
            self.write(output)
        state.update(result.changes)
        return result

    def carry(self, *records: Rec) -> None:
        """Each record alone through gate and ledger."""
        for record in records:
            for passed in self.pass_gate([self.send(record)]):
                self.apply([passed])

    def remembered(self, partition: int) -> dict[bytes, bytes]:
        """The ledger's state of a partition, without what stands of the facts, which is not read back."""
        return {key: without_standing(entry) for key, entry in self.states[partition].items()}

    def restored(self, partition: int, by: Ledger | None = None) -> dict[bytes, bytes]:
        """The ledger's state of a partition as it is read back from `state.ledger`, by this ledger or another one."""
        restoring = (by or self.ledger).restore()
        restoring.take(record.value or b"" for record in self.topics.get(("state.ledger", partition), ()))
        for _ in restoring.settle():
            pass
        return restoring.state

    def all(self, topic: str) -> list[Rec]:
        return [record for (name, _), log in sorted(self.topics.items()) if name == topic for record in log]


def without_standing(entry: bytes) -> bytes:
    start, end = standing_at(entry)
    return entry[:6] + bytes(2) + entry[8:start] + entry[end:]
