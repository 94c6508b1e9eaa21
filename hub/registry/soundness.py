"""Whether a schema may be registered at all: valid Avro, and in the hub's own namespace sound by its own lint."""

from __future__ import annotations

import copy
import json
import re
import warnings
from typing import Any

import avro.schema
import fastavro

from hub.avro.lint import lint
from hub.catalogue.events import OPTIONAL, REQUIRED
from hub.catalogue.fields import ATTRIBUTES, check_fields
from hub.catalogue.named import named_types
from hub.catalogue.soundness import is_default
from hub.catalogue.source import Document
from hub.errors import Problem
from hub.registry.references import definitions
from hub.registry.refusals import schema_invalid

OWN = ("az.zefer.", "hub.")
"""Subjects that belong to the hub: named by the record (RecordNameStrategy) in one of these namespaces."""
MAX_BYTES = 256 << 10
"""Of a schema's text, in UTF-8."""
MAX_PARTS = 4_000
"""Fields and their types, branches of unions: 2 000 fields, or 1 000 that may be null. Time goes by its square."""
MAX_DEPTH = 100
"""Of the JSON: some 25 records in one another."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_NAMES_ARE = "names are A to Z, a to z, _ and, but for the first character, digits"
_ROOT = frozenset({*REQUIRED, *OPTIONAL, "projects"})
_FIELD = ATTRIBUTES | {"masked"}


def is_own(subject: str) -> bool:
    return subject.startswith(OWN)


def parse(node: Any) -> avro.schema.Schema:
    """The schema (complete in itself) for Apache's library. Raises `Refused` (42201) where Avro has no such."""
    _check_depth(node)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a logical type that it does not know is none
            found = avro.schema.parse(_text(node))
        fastavro.parse_schema(copy.deepcopy(node), named_schemas={})
    except fastavro.schema.UnknownType as error:
        raise schema_invalid(f"unknown type {error.name}") from None
    except Exception as error:  # two parsers, each with its own ways to fail at what is no Avro
        raise schema_invalid(_said(error)) from None
    _check_defaults(node)
    return found


def check_bytes(text: str) -> None:
    """Of what somebody sends. Raises `Refused` (42201)."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise schema_invalid(f"its text has more than {MAX_BYTES} bytes")


def check_size(node: Any) -> None:
    """Of what somebody sends, with all that it refers to. Raises `Refused` (42201): to judge it would take too long."""
    left, parts = [node], 0
    while left:
        each = left.pop()
        parts += 1
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            fields = each.get("fields")
            left += fields if isinstance(fields, list) else []
            left += [each[key] for key in ("type", "items", "values") if key in each]
        if parts + len(left) > MAX_PARTS:
            raise schema_invalid(f"it has more than {MAX_PARTS} fields, types and branches of unions: divide it")


def check_names(node: Any) -> None:
    """Of types and fields. Raises `Refused` (42201) for one that Avro's specification does not have: its library in
    Python takes it, others do not. Aliases of fields are free, as in Java: by one a field gets rid of such a name.
    """
    for full, each in definitions(node).items():
        aliases, fields = each.get("aliases"), each.get("fields") or ()
        for name in (full, *(aliases if isinstance(aliases, list) else ())):
            if not all(_NAME.fullmatch(part) for part in str(name).split(".")):
                raise schema_invalid(f"{name!r} is no name of a type: {_NAMES_ARE}, joined by dots")
        for field in fields:
            if not _NAME.fullmatch(field["name"]):
                raise schema_invalid(f"{field['name']!r} is no name of a field: {_NAMES_ARE}")


def own_problems(subject: str, node: Any) -> list[Problem]:
    """What the hub's own lint has against it; every problem names its place by a path."""
    document = Document(subject, node, {})
    problems = lint(node, subject, document.line, root=_ROOT, field=_FIELD)
    if not problems and subject.startswith("az.zefer."):
        check_fields(document, problems)
    if not problems and f"{node.get('namespace')}.{node['name']}" != subject:
        problems.append(Problem(subject, 1, "the subject is not the record's full name", "use RecordNameStrategy"))
    return problems


def _text(node: Any) -> str:
    """Raises `ValueError` for what JSON or UTF-8 does not have: infinities, half a character."""
    text = json.dumps(node, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


def _check_depth(node: Any) -> None:
    """Deeper ones would end whoever walks them."""
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return
    raise schema_invalid(f"nested deeper than {MAX_DEPTH} levels of JSON")


def _inner(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _check_defaults(node: Any) -> None:
    """Avro's library in Python takes any default; one that is no value makes readers fail later."""
    try:
        names = named_types(node) if isinstance(node, dict) and node.get("type") == "record" else {}
    except (KeyError, TypeError, AttributeError):
        return
    for full, each in names.items():
        space = full.rpartition(".")[0]
        for field in each.get("fields", ()):
            lookup = lambda name, space=space: names.get(name if "." in name or not space else f"{space}.{name}")  # noqa: E731
            if "default" in field and not _is_default(field, lookup):
                raise schema_invalid(f"the default of field {full}.{field['name']} is no value of its type")


def _is_default(field: dict[str, Any], lookup: Any) -> bool:
    try:
        return is_default(field["type"], field["default"], lookup)
    except (KeyError, TypeError, RecursionError):
        return True


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
