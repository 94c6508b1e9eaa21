"""An event schema as an event type: what the hub's own attributes of the record say, checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, get_args

from hub.catalogue import fields
from hub.catalogue.fields import Look, looks
from hub.catalogue.model import EventType, KeyKind, Operator, Rule, StatusRule, Transition
from hub.catalogue.reader import Reader
from hub.catalogue.soundness import check_schema
from hub.catalogue.source import Document
from hub.errors import Problem

NAMESPACE = "az.zefer"
FOREVER = "forever"
REQUIRED = ("stream", "owner", "key", "retention")
OPTIONAL = ("status", "rules")
_DURATION = re.compile(r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?")
_CODE = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ORDERED = frozenset({"int", "long", "float", "double", "date", "timestamp-millis"})
_CARRIED = frozenset({"boolean", "int", "long", "float", "double", "string", "enum", "date"})
_OPERATORS: tuple[Operator, ...] = get_args(Operator)
_LISTED = {"provides": ("agencies", "services"), "is": ("agencies", None)}
PUBLISHER = "publisher"
_TRANSITIONS: tuple[Transition, ...] = get_args(Transition)
_KEYS: dict[KeyKind, str] = {"person": "fin", "case": ""}
Need = Literal["never null", "may be null"]


class Known(NamedTuple):
    """Codes that a schema may name."""

    streams: Collection[str]
    agencies: Collection[str]


def read_event(document: Document, known: Known, problems: list[Problem]) -> EventType | None:
    """The event type that a schema file defines, or `None` with what is wrong added to `problems`."""
    before = len(problems)
    root = frozenset({*REQUIRED, *OPTIONAL})
    if not check_schema(document, problems, root=root, field=fields.ATTRIBUTES):
        return None
    fields.check_fields(document, problems)
    event = _Event(Reader(document, problems), known).read()
    return event if len(problems) == before else None


class _Event:
    """One sound schema on its way to an event type."""

    def __init__(self, reader: Reader, known: Known) -> None:
        self.reader, self.known = reader, known
        self.schema: dict[str, Any] = reader.value
        for key in REQUIRED:
            if key not in self.schema:
                reader.wrong(f"key {key!r} is missing", f"add {key!r} to the record")
        self.looks: Mapping[str, Look] = looks({"namespace": "", **self.schema})

    def read(self) -> EventType:
        key_kind, key_field = self._key()
        stream, owner = self.reader.text("stream"), self.reader.text("owner")
        self.reader.known("stream", stream, self.known.streams, "stream")
        self.reader.known("agency", owner, self.known.agencies, "owner")
        return EventType(
            name=self._name(stream),
            stream=stream,
            owner=owner,
            key_kind=key_kind,
            key_field=key_field,
            retention=self._retention(),
            status=self._status(key_kind) if "status" in self.schema else None,
            rules=tuple(self._rules()),
            schema=self.schema,
            identifiers=fields.identifiers(self.schema),
        )

    def _name(self, stream: str) -> str:
        space, name = self.schema.get("namespace"), self.schema["name"]
        wanted = f"{NAMESPACE}.{stream.replace('-', '_')}"
        if space != wanted:
            self.reader.wrong(f"namespace {space!r} is not that of its stream", f"write {wanted!r}", "namespace")
        if not self.reader.document.file.endswith(f"/{space}.{name}.avsc"):
            self.reader.wrong("the file is not named by the type in it", f"rename it to {space}.{name}.avsc", "name")
        return f"{space}.{name}"

    def _retention(self) -> str:
        found = self.reader.text("retention")
        if found and found != FOREVER and not _DURATION.fullmatch(found):
            self.reader.wrong(f"retention {found!r}", 'write "forever" or a duration like "P75Y"', "retention")
        return found

    def _key(self) -> tuple[KeyKind, str]:
        key = self.reader.inner("key") if "key" in self.schema else None
        if key is None:
            return "case", ""
        kind = next((kind for kind in _KEYS if kind in key.value), None)
        if kind is None or len(key.value) != 1:
            key.wrong("an event has one subject", 'write {"person": "fin"} or {"case": a field}')
            return "case", ""
        field = key.text(kind)
        self._field(key, kind, field, {"string"}, "never null")
        if kind == "person" and field != "fin":
            key.wrong(f"the person is named by {field!r}", 'name the field of the FİN "fin"', kind)
        if kind == "case" and self._class(field) == "identifier":
            key.wrong("a case keyed by a FİN", "key it by its number", kind)
        return kind, field

    def _status(self, key_kind: KeyKind) -> StatusRule:
        rule = self.reader.inner("status")
        rule.keys(("kind", "transition", "effective", "carries"), ("slot", "until", "document", "voids"))
        if key_kind != "person":
            rule.wrong("a case changes nobody's status", "leave `status` out, or key the event by its person")
        transition = rule.text("transition")
        rule.known("transition", transition, _TRANSITIONS, "transition")
        if transition == "annul" and "voids" not in rule.value:
            rule.wrong("an annulment that names no decision", "add `voids`: the field with its number")
        return StatusRule(
            kind=self._kind(rule),
            slot=self._named(rule, "slot", {"string", "enum"}, "never null"),
            transition=next((t for t in _TRANSITIONS if t == transition), "set"),
            effective=self._named(rule, "effective", {"date"}, "never null") or "",
            until=self._named(rule, "until", {"date"}, "may be null"),
            document=self._named(rule, "document", {"string"}, "may be null"),
            voids=self._named(rule, "voids", {"string"}, "may be null"),
            carries=tuple(self._carried(rule)),
        )

    def _kind(self, rule: Reader) -> str:
        kind = rule.text("kind")
        if kind and not _CODE.fullmatch(kind):
            rule.wrong(f"status kind {kind!r}", "use a–z, 0–9 and -, a letter first", "kind")
        return kind

    def _carried(self, rule: Reader) -> list[str]:
        names = rule.texts("carries")
        for name in names:
            place = ("carries", rule.value["carries"].index(name))
            self._field(rule, "carries", name, _CARRIED, "may be null", *place)
            if self._class(name) == "identifier":
                rule.wrong(f"the status would show the FİN in {name!r}", "leave it out of `carries`", *place)
        return names

    def _rules(self) -> list[Rule]:
        found = self.schema.get("rules", [])
        if not isinstance(found, list):
            self.reader.wrong("'rules' must be a list", 'write [["from", "<", "until"]]', "rules")
            return []
        return [rule for index, item in enumerate(found) if (rule := self._rule(item, index))]

    def _rule(self, item: Any, index: int) -> Rule | None:
        place = ("rules", index)
        if not isinstance(item, list) or len(item) != 3 or item[1] not in _OPERATORS:
            said = f"a rule is [field, {' or '.join(_OPERATORS)}, field]"
            self.reader.wrong(said, 'write ["from", "<", "until"]', *place)
            return None
        left, operator, right = item
        if operator in _LISTED:
            return self._listed_rule(left, operator, right, index)
        bases = [self._field(self.reader, "rules", name, _ORDERED, "may be null", *place) for name in (left, right)]
        if None not in bases and bases[0] != bases[1]:
            message = f"{left!r} is {bases[0]}, {right!r} is {bases[1]}"
            self.reader.wrong(message, "compare fields of one type", *place)
        return Rule(left, operator, right)

    def _listed_rule(self, left: str, operator: Operator, right: str, index: int) -> Rule:
        """A rule between codes of the catalogue: each side is a field of the list that the operator speaks of."""
        for name, wanted in zip((left, right), _LISTED[operator], strict=True):
            if wanted is None and name != PUBLISHER:
                self.reader.wrong(f"a field is {name!r}", 'write "publisher"', "rules", index)
            elif wanted is not None and self._attribute(name, "catalogue") != wanted:
                fix = f'name a field with "catalogue": "{wanted}"'
                self.reader.wrong(f"{name!r} holds no code of {wanted}", fix, "rules", index)
        return Rule(left, operator, right)

    def _named(self, rule: Reader, key: str, bases: Collection[str], need: Need) -> str | None:
        """The field that `key` of the status rule names."""
        name = rule.maybe(key)
        if name:
            self._field(rule, key, name, bases, need)
        return name

    def _field(
        self, reader: Reader, key: str, name: str, bases: Collection[str], need: Need, *place: str | int
    ) -> str | None:
        """The base of the top-level field `name`, or `None` where it is not what `key` needs."""
        place = place or (key,)
        if not isinstance(name, str) or not name or not reader.known("field", name, self.looks, *place):
            return None
        seen = self.looks[name]
        if seen.base not in bases:
            wanted = " or ".join(sorted(bases))
            reader.wrong(f"{key!r} names {name!r}, which is {seen.base}", f"name a field that is {wanted}", *place)
            return None
        if seen.nullable and need == "never null":
            reader.wrong(f"{key!r} names {name!r}, which may be null", "name a field that is never null", *place)
        return seen.base

    def _class(self, name: str) -> str | None:
        return self._attribute(name, "classification")

    def _attribute(self, name: str, attribute: str) -> str | None:
        return next((f.get(attribute) for f in self.schema["fields"] if f["name"] == name), None)
