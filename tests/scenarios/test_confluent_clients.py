"""Confluent's own serializers against the registry, unmodified: what a Kafka shop has already."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from outside import PATIENCE, Outside, Sent, fin, unique
from registry_server import Registry, serving
from world import catalogue, sample

TYPE = "az.zefer.veteran.VeteranStatusGranted"
PUBLISHER = "mod"
Name = Callable[[str], str]


@pytest.fixture(scope="module")
def closed(hub_on_embedded: Outside) -> Iterator[str]:
    """The registry of a hub, as production runs it."""
    with serving(hub_on_embedded.hub.connection, "closed") as url:
        yield url


def client(url: str, agency: str | None = None) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": url, **({"basic.auth.user.info": f"{agency}:{agency}"} if agency else {})})


def serializer(of: SchemaRegistryClient, schema: str, **more: Any) -> AvroSerializer:
    settings = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy, **more}
    return AvroSerializer(of, schema, conf=settings)


def on(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)


def body(**given: Any) -> dict[str, Any]:
    """A valid body of `TYPE`."""
    return as_program(TYPE, **given)


def as_program(of: str, **given: Any) -> dict[str, Any]:
    """A valid body of a type as a program has it: dates are dates."""
    dates = {field["name"] for field in catalogue().types[of].schema["fields"] if "'date'" in str(field["type"])}
    raw = sample(of, **given)
    return {k: date.fromordinal(v + 719163) if k in dates and isinstance(v, int) else v for k, v in raw.items()}


def test_an_event_so_published_reaches_the_entitled_agencies_with_their_fields(
    hub_on_embedded: Outside, closed: str
) -> None:
    schemas = client(closed, PUBLISHER)
    text = schemas.get_latest_version(TYPE).schema.schema_str
    assert text is not None
    who, data = fin(), body()
    data["fin"] = who
    topic, event_id = f"in.{PUBLISHER}", unique("confluent")
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": f"urn:az:agency:{PUBLISHER}",
        "ce_type": TYPE,
        "ce_time": "2026-11-20T09:00:00Z",
        "content-type": "application/avro",
    }
    producer = Producer({"bootstrap.servers": hub_on_embedded.bootstrap, "acks": "all", "log_level": 0})
    producer.produce(topic, serializer(schemas, text)(data, on(topic)), headers=headers)
    assert producer.flush(PATIENCE) == 0
    entitled = {
        e.agency: e
        for e in catalogue().entitlements[TYPE]
        if all(data[field] in values for field, values in e.when.items())
    }
    received = hub_on_embedded.until(lambda: _received(hub_on_embedded, event_id, set(entitled)))
    assert entitled
    for message in received:
        agency = message.topic().removeprefix("out.")
        seen = AvroDeserializer(client(closed, agency))(message.value(), on(message.topic()))
        mask = entitled[agency].mask
        assert isinstance(seen, dict) and set(seen) == mask.clear | mask.masked
        assert {n: seen[n] for n in mask.clear} == {n: data[n] for n in mask.clear}
    assert {message.topic().removeprefix("out.") for message in received} == set(entitled)


def with_more(schemas: SchemaRegistryClient, type: str, name: str) -> str:
    """The type with one field more, as its owner writes it."""
    text = schemas.get_latest_version(type).schema.schema_str
    assert text is not None
    schema = json.loads(text)
    field = {"name": name, "type": ["null", "string"], "default": None, "doc": "A note.", "classification": "open"}
    return json.dumps(schema | {"fields": [*schema["fields"], field]})


def published(hub: Outside, agency: str, type: str, value: bytes | None) -> Sent:
    """A record as a program of the agency's own writes it."""
    assert value is not None
    return hub.send(agency, type, value)


def test_a_version_that_its_owner_registers_is_read_while_the_hub_runs(hub_on_embedded: Outside, closed: str) -> None:
    """Registered and published with at once, by one serializer; and so twice, with the version before as well."""
    hub, owner, of = hub_on_embedded, "dost", "az.zefer.service.DostServiceCompleted"
    before = hub.hub.worker.pid, hub.hub.worker.restarts
    schemas = client(closed, owner)
    old = serializer(schemas, str(schemas.get_latest_version(of).schema.schema_str))
    for note in ("note", "another"):
        new = serializer(client(closed, owner), with_more(schemas, of, note), **{"auto.register.schemas": True})
        sent = [
            published(hub, owner, of, write(as_program(of, fin=fin(), **more), on(f"in.{owner}")))
            for write, more in ((new, {note: "Yeni."}), (old, {}), (new, {note: None}))
        ]
        assert len({each.value[:5] for each in sent}) == 2
        for each in sent:
            receipt = hub.receipt(each)
            assert receipt["verdict"] == "APPLIED", receipt
            received = hub.until(lambda event_id=receipt["event_id"]: _all_of(hub, of, event_id))
            for agency, values in received:
                mask = next(e.mask for e in catalogue().entitlements[of] if e.agency == agency)
                assert set(values) == mask.clear | mask.masked, "what they are entitled to, and no more"
    assert (hub.hub.worker.pid, hub.hub.worker.restarts) == before


def test_an_id_that_nobody_registered_is_refused_and_holds_up_nobody(hub_on_embedded: Outside, closed: str) -> None:
    hub, owner, of = hub_on_embedded, "elillik", "az.zefer.support.ProsthesisFitted"
    schemas = client(closed, owner)
    write = serializer(schemas, str(schemas.get_latest_version(of).schema.schema_str))
    value = write(as_program(of, fin=fin()), on(f"in.{owner}"))
    assert value is not None
    unknown = [hub.send(owner, of, b"\0" + (900_000 + n).to_bytes(4, "big") + value[5:]) for n in range(30)]

    good = [
        published(hub, owner, of, value),
        published(hub, "zefer", TYPE, hub.encode(TYPE, sample(TYPE, fin=fin()))),
    ]
    assert [hub.receipt(each)["verdict"] for each in good] == ["APPLIED", "APPLIED"]
    for each in unknown:
        receipt = hub.receipt(each)
        assert (receipt["verdict"], receipt["code"]) == ("REJECTED", "schema_id_unknown")
    # what somebody else made up before it was given out says nothing of an agency's own
    other = "az.zefer.service.DostServiceCompleted"
    made_up = hub.send(owner, of, b"\0" + _next_id(closed).to_bytes(4, "big") + value[5:])
    assert hub.receipt(made_up)["code"] == "schema_id_unknown"
    theirs = client(closed, "dost")
    write = serializer(theirs, with_more(theirs, other, "third"), **{"auto.register.schemas": True})
    given = published(hub, "dost", other, write(as_program(other, fin=fin()), on("in.dost")))
    assert given.value[:5] == made_up.value[:5]
    assert hub.receipt(given)["verdict"] == "APPLIED"


def _next_id(url: str) -> int:
    found = Registry(url, PUBLISHER).get("/schemas", deleted=True)
    return 1 + max(int(each["id"]) for each in found)


def _all_of(hub: Outside, type: str, event_id: str) -> list[tuple[str, dict[str, Any]]]:
    """What every entitled agency received of one event, or nothing yet."""
    found = hub.received(event_id)
    entitled = {e.agency for e in catalogue().entitlements[type] if not e.when}
    return (
        [(agency, data) for agency, (each,) in found.items() for data in (each[1],)] if found.keys() >= entitled else []
    )


def _received(hub: Outside, origin: str, agencies: set[str]) -> list[Any]:
    """All of them, or nothing yet."""
    found = [
        message
        for message in hub.read(*(f"out.{agency}" for agency in hub.hub.catalogue.agencies))
        if dict(message.headers() or ())["ce_originid"] == origin.encode()
    ]
    return found if len(found) >= len(agencies) else []


def test_a_hub_on_one_machine_brings_its_registry(hub_on_embedded: Outside) -> None:
    assert hub_on_embedded.hub.registry is not None
    schemas = client(f"http://127.0.0.1:{hub_on_embedded.hub.registry.port}")
    assert schemas.get_latest_version(TYPE).schema_id == hub_on_embedded.schema_id(TYPE)


def test_the_publisher_of_the_readme_works(hub_on_embedded: Outside, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    program = next(
        b for b in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if "AvroSerializer" in b
    )
    (shown,) = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    # whoever tries README's other ways on this hub sends the same event: here it has an id of its own
    event = json.dumps(json.loads(shown) | {"id": "readme-confluent"}, ensure_ascii=False)
    (tmp_path / "veteran.json").write_text(event, encoding="utf-8")
    hub = hub_on_embedded.hub
    assert hub.registry is not None
    words = (hub_on_embedded.bootstrap, f"http://127.0.0.1:{hub.registry.port}", str(tmp_path / "veteran.json"), "mod")
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, timeout=60
    )
    sent = Sent(done.stdout.strip(), json.loads(event)["id"], b"")
    assert hub_on_embedded.receipt(sent)["verdict"] == "APPLIED", done.stdout


def test_auto_registration_is_refused_to_whom_it_is_not_due(hub_on_embedded: Outside, closed: str) -> None:
    schemas = client(closed, PUBLISHER)
    text = str(schemas.get_latest_version(TYPE).schema.schema_str)
    known = serializer(schemas, text, **{"auto.register.schemas": True})
    assert known(body(fin=fin()), on(f"in.{PUBLISHER}"))[:1] == b"\0"  # type: ignore[index]
    changed = text.replace('"name":"surname"', '"name":"family_name"')
    assert changed != text
    with pytest.raises((SchemaRegistryError, SerializationError), match="denied"):
        data = body(fin=fin())
        data["family_name"] = data.pop("surname")
        new = serializer(client(closed, PUBLISHER), changed, **{"auto.register.schemas": True})
        new(data, on(f"in.{PUBLISHER}"))
    with pytest.raises(SchemaRegistryError) as refused:
        client(closed, PUBLISHER).register_schema(TYPE, Schema(changed, "AVRO"))
    assert (refused.value.http_status_code, refused.value.error_code) == (403, 40301)
    assert schemas.get_versions(TYPE) == [1]


def test_use_latest_version_serves_a_reader_and_a_writer(registry: Registry, name: Name) -> None:
    schemas, subject = client(registry.url), f"t.{_plain(name('R'))}"
    schema = _record(subject, [{"name": "x", "type": "int"}])
    schemas.register_schema(subject, Schema(schema, "AVRO"))
    write = serializer(schemas, schema, **{"use.latest.version": True})
    value = write({"x": 5}, on("topic"))
    assert value is not None
    reader = AvroDeserializer(schemas, _record(subject, [{"name": "x", "type": "long"}]))
    assert reader(value, on("topic")) == {"x": 5}


def test_ids_are_stable_and_found_both_ways(registry: Registry, name: Name) -> None:
    schemas, subject = client(registry.url), f"t.{_plain(name('R'))}"
    schema = Schema(_record(subject, [{"name": "x", "type": "int"}]), "AVRO")
    id = schemas.register_schema(subject, schema)
    fresh = client(registry.url)
    assert fresh.register_schema(subject, schema) == id
    assert fresh.get_schema(id).schema_str == schema.schema_str
    found = fresh.lookup_schema(subject, schema)
    assert (found.schema_id, found.version, found.subject) == (id, 1, subject)
    assert (fresh.get_version(subject, 1).schema_id, fresh.get_latest_version(subject).schema_id) == (id, id)
    assert subject in fresh.get_subjects() and fresh.get_versions(subject) == [1]
    assert fresh.test_compatibility(subject, Schema(_record(subject, [{"name": "x", "type": "long"}]), "AVRO"))
    assert not fresh.test_compatibility(subject, Schema(_record(subject, [{"name": "x", "type": "string"}]), "AVRO"))


def test_normalize_behaves_as_theirs(registry: Registry, name: Name) -> None:
    schemas, subject = client(registry.url), f"t.{_plain(name('R'))}"
    one, two = (
        _record(subject, [{"name": "x", "type": "int"}], **extra) for extra in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    id = schemas.register_schema(subject, Schema(one, "AVRO"), normalize_schemas=True)
    again = client(registry.url)
    assert again.register_schema(subject, Schema(two, "AVRO"), normalize_schemas=True) == id
    assert again.lookup_schema(subject, Schema(two, "AVRO"), normalize_schemas=True).schema_id == id
    with pytest.raises(SchemaRegistryError) as refused:
        client(registry.url).lookup_schema(subject, Schema(two, "AVRO"))
    assert refused.value.error_code == 40403


def test_references_serialise_and_read_back(registry: Registry, name: Name) -> None:
    schemas, inner, outer = client(registry.url), f"t.{_plain(name('I'))}", f"t.{_plain(name('O'))}"
    schemas.register_schema(inner, Schema(_record(inner, [{"name": "x", "type": "int"}]), "AVRO"))
    reference = SchemaReference(inner, inner, 1)
    user = Schema(_record(outer, [{"name": "inner", "type": inner}]), "AVRO", [reference])
    schemas.register_schema(outer, user)
    settings = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy}
    value = AvroSerializer(schemas, user, conf=settings)({"inner": {"x": 5}}, on("topic"))
    assert value is not None
    assert AvroDeserializer(client(registry.url))(value, on("topic")) == {"inner": {"x": 5}}


def test_deletion_modes_and_levels_speak_their_language(registry: Registry, name: Name) -> None:
    schemas, subject = client(registry.url), f"t.{_plain(name('R'))}"
    schemas.register_schema(subject, Schema(_record(subject, [{"name": "x", "type": "int"}]), "AVRO"))
    assert schemas.set_compatibility(subject, "FULL")["compatibility"] == "FULL"
    assert schemas.get_compatibility(subject) == "FULL"
    with pytest.raises(SchemaRegistryError) as refused:
        schemas.register_schema(subject, Schema(_record(subject, [{"name": "x", "type": "long"}]), "AVRO"))
    assert refused.value.http_status_code == 409 and "/fields/0/type" in str(refused.value)
    assert schemas.delete_version(subject, 1) == 1
    assert schemas.delete_subject(subject, permanent=True) == [1]


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)


def _record(full: str, fields: list[dict[str, Any]], **more: Any) -> str:
    space, _, name = full.rpartition(".")
    record = {"type": "record", "name": name, "namespace": space, "fields": fields, **more}
    return json.dumps(record, separators=(",", ":"))
