"""The AsyncAPI 3 document: what the hub receives from each agency and what it sends to it, over Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hub.catalogue import Agency, Catalogue, EventType, Projection
from hub.handbook.example import example, publishers

AVRO = "application/vnd.apache.avro;version=1.9.0"
CONTENT = "application/avro"
Node = dict[str, Any]


def asyncapi(catalogue: Catalogue) -> str:
    """The document as JSON."""
    return json.dumps(_document(catalogue), ensure_ascii=False, indent=1) + "\n"


def _document(catalogue: Catalogue) -> Node:
    channels, operations = {}, {}
    for agency in catalogue.agencies.values():
        for name, channel, operation in _of_agency(catalogue, agency):
            channels[name] = channel
            operations[f"{'receive' if name.startswith('in.') else 'send'}-{name}"] = operation
    return {
        "asyncapi": "3.0.0",
        "id": "urn:az:zefer:hub",
        "info": {
            "title": "Zəfər hub",
            "version": f"{catalogue.version}.0.0",
            "description": "Events between public agencies: each to those entitled to it, and no further. Every "
            "person in the examples is invented.",
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": code, "description": stream.name.en} for code, stream in catalogue.streams.items()],
        },
        "defaultContentType": CONTENT,
        "servers": {"kafka": _server()},
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": _schemas(catalogue),
            "messages": _messages(catalogue),
            "messageTraits": {"published": _published(), "offered": _offered()},
        },
    }


def _server() -> Node:
    return {
        "host": "kafka.example.az:9093",
        "protocol": "kafka-secure",
        "description": "Apache Kafka 4.0 or later; values in Confluent's wire format, ids from the schema registry.",
        "bindings": {
            "kafka": {"schemaRegistryUrl": "https://registry.example.az", "schemaRegistryVendor": "confluent"}
        },
    }


def _of_agency(catalogue: Catalogue, agency: Agency) -> Iterator[tuple[str, Node, Node]]:
    """Its channels, each with its operation: (name, channel, operation)."""
    published = sorted(name for name in agency.publishes if name in catalogue.types)
    offered = sorted(catalogue.projections[e.mask].name for e in _entitled(catalogue, agency.code))
    who = agency.name.en
    if published:
        yield _channel(f"in.{agency.code}", f"What {who} publishes.", published, "receive")
    if offered:
        yield _channel(
            f"out.{agency.code}", f"What {who} is entitled to, under pseudonyms of its own.", offered, "send"
        )
    receipts = ["hub.Receipt", "hub.DeliveryReceipt"]
    yield _channel(f"receipts.{agency.code}", f"What became of each event of {who}.", receipts, "send")


def _entitled(catalogue: Catalogue, agency: str) -> Iterator[Any]:
    for entitlements in catalogue.entitlements.values():
        yield from (each for each in entitlements if each.agency == agency)


def _channel(name: str, said: str, messages: list[str], action: str) -> tuple[str, Node, Node]:
    channel = {
        "address": name,
        "description": said,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {"kafka": {"topic": name}},
    }
    operation = {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": said,
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
    }
    return name, channel, operation


def _schemas(catalogue: Catalogue) -> Node:
    return {name: {"schemaFormat": AVRO, "schema": json.loads(text)} for name, text in catalogue.schemas()}


def _messages(catalogue: Catalogue) -> Node:
    found = {name: _event(catalogue, of) for name, of in catalogue.types.items()}
    found |= {each.name: _projection(each) for each in catalogue.projections.values()}
    return found | {name: _record(name, schema) for name, schema in catalogue.records.items()}


def _event(catalogue: Catalogue, of: EventType) -> Node:
    said = example(catalogue, of)
    headers = {f"ce_{name}": value for name, value in said.items() if name != "data"}
    return {
        **_record(of.name, of.schema),
        "title": of.schema["name"],
        "description": f"Published by {', '.join(publishers(catalogue, of.name))}.",
        "tags": [{"name": of.stream}],
        "traits": [{"$ref": "#/components/messageTraits/published"}],
        "examples": [{"name": "invented", "headers": headers, "payload": said["data"]}],
    }


def _projection(projection: Projection) -> Node:
    return {
        **_record(projection.name, projection.schema),
        "title": projection.schema["name"],
        "traits": [{"$ref": "#/components/messageTraits/offered"}],
    }


def _record(name: str, schema: Node) -> Node:
    return {
        "name": name,
        "contentType": CONTENT,
        "summary": schema["doc"],
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }


def _published() -> Node:
    required = ("specversion", "id", "source", "type", "time")
    return _headers(required, ("sequence", "correlationid", "causationid"), "any key; it is used by Kafka alone")


def _offered() -> Node:
    required = ("specversion", "id", "originid", "source", "type", "time", "statusversion")
    more = ("late", "sequence", "correlationid", "causationid")
    return _headers(required, more, "a pseudonym of the person, or the case, that only this agency has")


def _headers(required: tuple[str, ...], more: tuple[str, ...], key: str) -> Node:
    names = [f"ce_{name}" for name in (*required, *more)]
    return {
        "headers": {
            "type": "object",
            "properties": {**{name: {"type": "string"} for name in names}, "content-type": {"const": CONTENT}},
            "required": [*(f"ce_{name}" for name in required), "content-type"],
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }
