"""The rules of an event type beyond its Avro types, compiled from its schema to a pydantic model.

Patterns, ranges, lists of the catalogue and the order of two dates all stand in `schemas/`; nothing
is said here a second time. Values are raw: a date is days, a timestamp milliseconds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from hub.catalogue.fields import FIN, FIN_IN_WORDS
from hub.errors import Code
from hub.event import Rejection

STEP = "validate"
ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le}
Check = Callable[[Mapping[str, Any], str], Rejection | None]


class Lists(NamedTuple):
    """The catalogue's codes that a field may hold, by list; and which agencies provide a service."""

    codes: Mapping[str, Collection[str]]
    providers: Mapping[str, Collection[str]]


class _Rules(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


def constrained_fields(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the top-level fields that `compile_rules` will look at."""
    ordered = {name for left, _, right in schema.get("rules", ()) for name in (left, right)}
    return tuple(
        field["name"] for field in schema["fields"] if field["name"] in ordered or _is_constrained(field["type"], field)
    )


def compile_rules(schema: Mapping[str, Any], identifiers: Collection[tuple[str, ...]], lists: Lists) -> Check:
    """A function from an event's raw fields and its publisher to None, or to one rejection with all that is wrong.

    `identifiers` are the paths of its FİN fields, as `EventType` has them.
    """
    model = _model(schema, lists)
    validate = model.__pydantic_validator__.validate_python
    fins, names = frozenset(identifiers), frozenset(_field_names(schema))

    relations = _relations(schema, lists)

    def check(fields: Mapping[str, Any], publisher: str) -> Rejection | None:
        try:
            validate(fields)
        except ValidationError as error:
            return _rejection(error.errors(include_url=False, include_input=False), fins, names)
        for pointer, expected, holds in relations:
            if not holds(fields, publisher):
                return Rejection(Code.RULE_BROKEN, STEP, f"{pointer}: expected {expected}", pointer)
        return None

    return check


def _relations(
    schema: Mapping[str, Any], lists: Lists
) -> list[tuple[str, str, Callable[[Mapping[str, Any], str], bool]]]:
    """Rules between codes of the catalogue: (pointer, what is expected, whether it holds)."""
    found: list[tuple[str, str, Callable[[Mapping[str, Any], str], bool]]] = []
    for left, sign, right in schema.get("rules", ()):
        if sign == "is":
            found.append((f"/{left}", "the agency that publishes", _is_publisher(left)))
        elif sign == "provides":
            found.append((f"/{left}", f"a provider of /{right}", _provides(left, right, lists.providers)))
    return found


def _is_publisher(field: str) -> Callable[[Mapping[str, Any], str], bool]:
    return lambda fields, publisher: fields[field] == publisher


def _provides(
    agency: str, service: str, providers: Mapping[str, Collection[str]]
) -> Callable[[Mapping[str, Any], str], bool]:
    return lambda fields, _: fields[agency] in providers[fields[service]]


def _model(schema: Mapping[str, Any], lists: Lists) -> type[BaseModel]:
    fields: dict[str, Any] = {
        field["name"]: (_annotation(field["type"], field, lists), ...)
        for field in schema["fields"]
        if _is_constrained(field["type"], field)
    }
    rules = [(left, ORDER[sign], sign, right) for left, sign, right in schema.get("rules", ()) if sign in ORDER]
    for left, _, _, right in rules:
        fields.setdefault(left, (Any, None))
        fields.setdefault(right, (Any, None))

    def in_order(self: BaseModel) -> BaseModel:
        for left, holds, sign, right in rules:
            a, b = getattr(self, left), getattr(self, right)
            if a is not None and b is not None and not holds(a, b):
                raise PydanticCustomError("order", f"/{left} must be {sign} /{right}")
        return self

    validators: dict[str, Any] = {"in_order": model_validator(mode="after")(in_order)} if rules else {}
    return create_model(schema["name"], __base__=_Rules, __validators__=validators, **fields)


def _annotation(avro: Any, field: Mapping[str, Any], lists: Lists) -> Any:
    """The pydantic type of an Avro type under the constraints of its field."""
    if isinstance(avro, list):
        branches = [branch for branch in avro if branch != "null"]
        inner = _annotation(branches[0], field, lists) if len(branches) == 1 else Any
        return inner | None if len(branches) < len(avro) else inner
    kind = avro["type"] if isinstance(avro, dict) else avro
    if kind == "record":
        return _model(avro, lists)
    if kind in ("array", "map"):
        inner = _annotation(avro["items" if kind == "array" else "values"], field, lists)
        return list[inner] if kind == "array" else dict[str, inner]  # type: ignore[valid-type]
    return _scalar(kind, field, lists)


def _scalar(kind: str, field: Mapping[str, Any], lists: Lists) -> Any:
    if kind == "string" and "catalogue" in field:
        return Literal[tuple(sorted(lists.codes[field["catalogue"]]))]
    if kind == "string":
        pattern = field.get("pattern")
        limits = StringConstraints(pattern=_whole(pattern) if pattern else None, max_length=field.get("maxLength"))
        return Annotated[str, limits]
    if kind in ("int", "long", "float", "double"):
        number = float if kind in ("float", "double") else int
        return Annotated[number, Field(ge=field.get("minimum"), le=field.get("maximum"))]
    return Any


def _is_constrained(avro: Any, field: Mapping[str, Any]) -> bool:
    if any(key in field for key in ("pattern", "minimum", "maximum", "maxLength", "catalogue")):
        return True
    if isinstance(avro, list):
        return any(_is_constrained(branch, {}) for branch in avro)
    if not isinstance(avro, dict):
        return False
    if avro["type"] == "record":
        return any(_is_constrained(inner["type"], inner) for inner in avro["fields"])
    return any(_is_constrained(avro[key], {}) for key in ("items", "values") if key in avro)


def _field_names(avro: Any) -> Iterator[str]:
    if isinstance(avro, list):
        for branch in avro:
            yield from _field_names(branch)
    elif isinstance(avro, dict):
        for field in avro.get("fields", ()):
            yield field["name"]
            yield from _field_names(field["type"])
        for key in ("items", "values"):
            yield from _field_names(avro.get(key))


def _rejection(errors: list[ErrorDetails], identifiers: frozenset[tuple[str, ...]], names: frozenset[str]) -> Rejection:
    """One rejection for all problems: a wrong FİN decides the code, the details tell every place."""
    places = [(_pointer(error, names), error) for error in errors]
    fin = [pointer for pointer, _ in places if _path(pointer) in identifiers]
    detail = "; ".join(f"{pointer or '/'}: {_say(error)}" for pointer, error in places)
    if fin:
        return Rejection(Code.FIN_INVALID, STEP, detail, fin[0])
    return Rejection(Code.RULE_BROKEN, STEP, detail, places[0][0])


def _pointer(error: ErrorDetails, names: frozenset[str]) -> str:
    """A JSON pointer; the key of a map is the event's own text, so it shows as `*`."""
    return "".join(f"/{part if isinstance(part, int) or part in names else '*'}" for part in error["loc"])


def _path(pointer: str) -> tuple[str, ...]:
    """The pointer as the catalogue writes a field's path: `*` for an item's index or a map's key."""
    return tuple("*" if part.isdigit() else part for part in pointer[1:].split("/"))


def _say(error: ErrorDetails) -> str:
    """What was expected, never what was found: pydantic's own text may name every code of a list."""
    if error["type"] == "literal_error":
        return "expected a code of the catalogue's list"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == _whole(FIN):
        return f"expected {FIN_IN_WORDS}"
    return error["msg"]


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
