"""What `schemas/` says, read by the witness itself: the product's reader of these files is not asked."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fastavro
import yaml

SCHEMAS = Path(__file__).parents[2] / "schemas"
HEADER = 5
"""Bytes of Confluent's wire header: 0 and the schema id."""


@dataclass(frozen=True)
class Entitlement:
    """What one agency sees of one type, where `when` (field → values) holds."""

    agency: str
    when: dict[str, frozenset[str]]
    clear: frozenset[str]
    masked: frozenset[str]


@dataclass(frozen=True)
class Type:
    """An event type: its schema as it stands in the file, who may publish it, who receives it."""

    name: str
    schema: dict[str, Any]
    publishers: tuple[str, ...]
    entitlements: tuple[Entitlement, ...]

    @cached_property
    def codec(self) -> Codec:
        return Codec(self.schema)

    @property
    def stream(self) -> str:
        return self.schema["stream"]

    @property
    def of_person(self) -> bool:
        return "person" in self.schema["key"]

    @property
    def key_field(self) -> str:
        return next(iter(self.schema["key"].values()))


@dataclass(frozen=True)
class Catalogue:
    """`codes` are the lists that a field may be bound to; `providers` the agencies that provide a service."""

    types: dict[str, Type]
    agencies: tuple[str, ...]
    codes: dict[str, tuple[str, ...]]
    providers: dict[str, tuple[str, ...]]


class Codec:
    """Values are plain: dates are days, timestamps milliseconds, decimals bytes."""

    def __init__(self, schema: Any) -> None:
        self._schema = fastavro.parse_schema(_plain(schema))

    def encode(self, value: dict[str, Any]) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._schema, value)
        return buffer.getvalue()

    def decode(self, value: bytes) -> dict[str, Any]:
        """Of a whole value with its wire header. Raises ValueError where bytes are left over."""
        buffer = io.BytesIO(value[HEADER:])
        found = fastavro.schemaless_reader(buffer, self._schema, None)
        if buffer.read(1):
            raise ValueError("bytes are left over")
        return found


def read(folder: Path = SCHEMAS) -> Catalogue:
    lists = {name: _yaml(folder / "catalogue" / f"{name}.yaml") for name in ("agencies", "services")}
    districts = _yaml(folder / "catalogue/catalogue.yaml")["districts"]
    agencies = tuple(agency["code"] for agency in lists["agencies"])
    providers = {service["code"]: tuple(service["providers"]) for service in lists["services"]}
    seen = {path.stem: _yaml(path)["receives"] for path in sorted((folder / "catalogue/entitlements").glob("*.yaml"))}
    types = {}
    for path in sorted((folder / "events").glob("*.avsc")):
        name = path.stem
        publishers = tuple(agency["code"] for agency in lists["agencies"] if name in agency["publishes"])
        entitlements = tuple(_entitlement(agency, rows[name]) for agency, rows in seen.items() if name in rows)
        types[name] = Type(name, json.loads(path.read_text()), publishers, entitlements)
    codes = {"agencies": agencies, "services": tuple(providers), "districts": tuple(districts)}
    return Catalogue(types, agencies, codes, providers)


def _entitlement(agency: str, row: dict[str, Any]) -> Entitlement:
    when = {
        field: frozenset(
            agency if value == "self" else value for value in (values if isinstance(values, list) else [values])
        )
        for field, values in row.get("when", {}).items()
    }
    return Entitlement(agency, when, frozenset(row["clear"]), frozenset(row.get("masked", ())))


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key != "logicalType"}
    return node
