"""What differs between two versions of a schema, field by field, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hub.avro.lint import full_name
from hub.catalogue.named import named_types

Schema = dict[str, Any]


class Change(NamedTuple):
    """`path`: names of fields joined by dots, `` for the record itself; `what` one of the words below."""

    path: str
    what: str
    detail: str

    @property
    def field(self) -> str:
        """The top-level field that it is in; empty: the record itself."""
        return self.path.split(".")[0]


ADDED, REMOVED, RENAMED = "field added", "field removed", "field renamed"
TYPE, SYMBOLS = "type changed", "symbols changed"
DIGITS = "digits changed"
"""Of a decimal: another scale moves its point, fewer digits do not hold what was kept."""
NARROWED = "narrowed"
"""A rule or constraint: less may be sent than before; what was kept is read as it was."""
SAID = "said otherwise"
"""A doc, a wider rule or constraint: data stay as they are."""


def changes(old: Schema, new: Schema) -> list[Change]:
    """In the order of the new schema's fields; removed ones last."""
    return [*_record(_Side(old), old, _Side(new), new, ""), *_attributes(old, new, "", {"fields", "type", "name"})]


class _Side:
    """One of the two schemas, with its named types."""

    def __init__(self, schema: Schema) -> None:
        self.named = named_types(schema)

    def resolved(self, node: Any, space: str) -> tuple[Any, str]:
        """The definition behind a name, and the namespace within it."""
        if isinstance(node, str):
            node = self.named.get(full_name(node, space), node)
        if isinstance(node, dict) and "name" in node:
            space = full_name(str(node["name"]), str(node.get("namespace", space))).rpartition(".")[0]
        return node, space


def _record(was: _Side, old: Schema, now: _Side, new: Schema, path: str) -> Iterator[Change]:
    before = {field["name"]: field for field in old["fields"]}
    spaces = was.resolved(old, "")[1], now.resolved(new, "")[1]
    for field in new["fields"]:
        here = f"{path}{field['name']}"
        known = before.pop(field["name"], None) or _aliased(before, field)
        if known is None:
            yield Change(here, ADDED, f"{kind(field['type'])}, {_default(field)}")
            continue
        yield from _type(was, known["type"], now, field["type"], here, spaces)
        yield from _attributes(known, field, here, {"type", "name", "aliases"})
        if known["name"] != field["name"]:
            yield Change(f"{path}{known['name']}", RENAMED, f"to {field['name']}, which has it as an alias")
    for name, field in before.items():
        yield Change(f"{path}{name}", REMOVED, kind(field["type"]))


def _aliased(before: dict[str, Any], field: Schema) -> Schema | None:
    alias = next((name for name in field.get("aliases", ()) if name in before), None)
    return before.pop(alias) if alias else None


def _type(was: _Side, old: Any, now: _Side, new: Any, path: str, spaces: tuple[str, str]) -> Iterator[Change]:
    (old, before), (new, after) = was.resolved(old, spaces[0]), now.resolved(new, spaces[1])
    if kind(old) != kind(new):
        yield Change(path, TYPE, f"{kind(old)} → {kind(new)}")
    elif isinstance(old, list):
        for branch, other in zip(old, new):
            yield from _type(was, branch, now, other, path, (before, after))
    elif isinstance(old, dict) and old["type"] == "record":
        yield from _record(was, old, now, new, f"{path}.")
    elif isinstance(old, dict) and old["type"] == "enum":
        yield from _symbols(old, new, path)
    elif isinstance(old, dict) and old["type"] == "fixed" and old["size"] != new["size"]:
        yield Change(path, TYPE, f"{old['size']} bytes → {new['size']} bytes")
    elif isinstance(old, dict) and old.get("logicalType") == "decimal":
        yield from _digits(old, new, path)
    elif isinstance(old, dict) and old["type"] in ("array", "map"):
        inner = "items" if old["type"] == "array" else "values"
        yield from _type(was, old[inner], now, new[inner], path, (before, after))


def _symbols(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    added = [symbol for symbol in new["symbols"] if symbol not in old["symbols"]]
    gone = [symbol for symbol in old["symbols"] if symbol not in new["symbols"]]
    said = [f"{verb} {', '.join(symbols)}" for verb, symbols in (("added", added), ("removed", gone)) if symbols]
    if said:
        yield Change(path, SYMBOLS, "; ".join(said))
    if old.get("default") != new.get("default"):
        yield Change(path, SAID, f"default of {new['name']}")


def _digits(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    (precision, scale), (digits, places) = ((node["precision"], node.get("scale", 0)) for node in (old, new))
    if (precision, scale) != (digits, places):
        what = DIGITS if digits < precision or places != scale else TYPE
        yield Change(path, what, f"decimal({precision}, {scale}) → decimal({digits}, {places})")


def _attributes(old: Mapping[str, Any], new: Mapping[str, Any], path: str, but: set[str]) -> Iterator[Change]:
    names = [name for name in (*new, *(n for n in old if n not in new)) if name not in but]
    said = [name for name in names if old.get(name) != new.get(name)]
    narrower = [name for name in said if _narrows(name, old.get(name), new.get(name))]
    for what, found in ((NARROWED, narrower), (SAID, [name for name in said if name not in narrower])):
        if found:
            yield Change(path, what, ", ".join(found))


def _narrows(name: str, was: Any, now: Any) -> bool:
    """Whether less may be sent; of another pattern or list nobody can tell, so it may be less."""
    match name:
        case "maxLength" | "maximum":
            return now is not None and (was is None or now < was)
        case "minimum":
            return now is not None and (was is None or now > was)
        case "pattern" | "catalogue":
            return now is not None
        case "classification":
            return bool(now == "identifier")  # a FİN has a form
        case "rules":
            return any(rule not in (was or ()) for rule in now or ())
        case _:
            return False


def kind(node: Any) -> str:
    """A type in a few words."""
    if isinstance(node, list):
        return " or ".join(map(kind, node))
    if isinstance(node, str):
        return node.rpartition(".")[2]
    inner = node.get("items", node.get("values"))
    if inner is not None:
        return f"{node['type']} of {kind(inner)}"
    return str(node.get("logicalType") or (node["name"] if "name" in node else node["type"]))


def _default(field: Schema) -> str:
    return f"default {field['default']!r}" if "default" in field else "no default"
