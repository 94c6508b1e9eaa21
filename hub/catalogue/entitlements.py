"""What each agency may see: `schemas/catalogue/entitlements/<agency>.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hub.catalogue.fields import Look, looks
from hub.catalogue.model import Entitlement, EventType
from hub.catalogue.reader import Reader

SELF = "self"


class Known(NamedTuple):
    """What an entitlement may name. `names` are all event types, `types` those that could be read;
    `lists` the codes of agencies, services and districts."""

    names: Collection[str]
    types: Mapping[str, EventType]
    bases: Collection[str]
    lists: Mapping[str, Collection[str]]


def read_entitlements(agency: str, reader: Reader, known: Known) -> Iterator[Entitlement]:
    """The entitlements of one agency. One that names a broken type is left for when that is mended."""
    reader.keys(("receives",), ("assumed",))
    assumed = reader.flag("assumed")
    if not known.lists["agencies"] or not reader.known("agency", agency, known.lists["agencies"]):
        return
    for name, row in reader.entries("receives"):
        row.keys(("basis", "clear"), ("when", "masked"))
        row.known("legal basis", row.text("basis"), known.bases, "basis")
        if row.known("event type", name, known.names) and name in known.types:
            yield _Row(agency, known.types[name], row, known).read(assumed)


class _Row:
    """One agency × type under check."""

    def __init__(self, agency: str, type: EventType, row: Reader, known: Known) -> None:
        self.agency, self.type, self.row, self.known = agency, type, row, known
        self.fields: dict[str, dict[str, Any]] = {f["name"]: f for f in type.schema["fields"]}
        self.looks: dict[str, Look] = looks(type.schema)

    def read(self, assumed: bool) -> Entitlement:
        clear, masked = self._seen("clear"), self._seen("masked")
        for name in sorted(clear & masked):
            self.row.wrong(f"{name!r} is both clear and masked", "keep one", "masked", self._index("masked", name))
        for name in sorted(masked - clear):
            self._check_mask(name)
        if not clear and not masked and self.row.value.get("clear") in ([], None):
            self.row.wrong("nothing of this type is seen", "list fields in `clear`, or leave the type out")
        when = MappingProxyType(dict(self._when()))
        return Entitlement(self.agency, self.type.name, self.row.text("basis"), when, clear, masked, assumed)

    def _seen(self, key: str) -> frozenset[str]:
        names = self.row.texts(key)
        return frozenset(n for n in names if self.row.known("field", n, self.fields, key, self._index(key, n)))

    def _index(self, key: str, name: str) -> int:
        index: int = self.row.value[key].index(name)
        return index

    def _check_mask(self, name: str) -> None:
        seen = self.looks[name]
        if not seen.nullable and seen.base != "string":
            fix = "only a string or a nullable field can be masked: make it clear, or leave it out"
            self.row.wrong(
                f"{name!r} is {seen.base}, never null: it cannot be masked",
                fix,
                "masked",
                self._index("masked", name),
            )

    def _when(self) -> Iterator[tuple[str, frozenset[str]]]:
        when = self.row.inner("when") if "when" in self.row.value else None
        for name in when.value if when else ():
            if when and when.known("field", name, self.fields, name) and self._can_decide(when, name):
                yield name, frozenset(self._values(when, name))

    def _can_decide(self, when: Reader, name: str) -> bool:
        seen = self.looks[name]
        if seen.base in ("string", "enum") and not seen.nullable:
            return True
        found = f"{seen.base}{' or null' if seen.nullable else ''}"
        when.wrong(f"`when` on {name!r}, which is {found}", "use a top-level string or enum that is never null", name)
        return False

    def _values(self, when: Reader, name: str) -> Iterator[str]:
        """The values that let an event through, `self` replaced by this agency's code."""
        value = when.value[name]
        several = isinstance(value, list)
        listed = self.fields[name].get("catalogue")
        for item in when.texts(name) if several else [when.text(name)]:
            place = (name, value.index(item)) if several else (name,)
            if item == SELF and listed != "agencies":
                when.wrong(f"`self` for {name!r}, which holds no agency", "write the value itself", *place)
            elif item == SELF:
                yield self.agency
            elif self._is_value(when, item, listed, name, place):
                yield item
        if several and not value:
            when.wrong(f"no value of {name!r} would do", "list at least one, or leave the condition out", name)

    def _is_value(self, when: Reader, item: str, listed: str | None, name: str, place: tuple[str | int, ...]) -> bool:
        if listed:
            what = {"agencies": "agency", "services": "service", "districts": "district"}[listed]
            return when.known(what, item, self.known.lists[listed], *place)
        if self.looks[name].base == "enum":
            return when.known(f"symbol of {name!r}", item, self.looks[name].symbols, *place)
        return bool(item)
