"""May data of one schema be read with another? Apache Avro's checker, with the path of each thing that is wrong.

What is added to it: paths through unions, all problems instead of the first's kind, a union's branches taken as
the specification says, and the digits of decimals. `tests/laws/registry` holds it against what a reader really decodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, cast

from avro.compatibility import (
    ReaderWriter,
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityResult,
    SchemaCompatibilityType,
    SchemaIncompatibilityType,
    check_fixed_size,
    check_reader_enum_contains_writer_enum,
    incompatible,
    lookup_writer_field,
)
from avro.schema import (
    BytesDecimalSchema,
    EnumSchema,
    Field,
    FixedDecimalSchema,
    FixedSchema,
    NamedSchema,
    RecordSchema,
    Schema,
    UnionSchema,
)

from hub.avro.lint import full_name


class Level(StrEnum):
    """Which of old and new must be able to read the other, and how far back."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        return self.value.endswith("_TRANSITIVE")

    @property
    def direction(self) -> Level:
        """Without how far back."""
        return Level(self.value.removesuffix("_TRANSITIVE"))


class Difference(NamedTuple):
    """Why the reader cannot read the writer's data: Confluent's word for it, where (a path into the reader's
    schema), and what stands there."""

    kind: str
    path: str
    message: str


_FINE = SchemaCompatibilityResult(SchemaCompatibilityType.compatible)
_NAMED = ("record", "error", "enum", "fixed")


def differences(reader: Schema, writer: Schema) -> list[Difference]:
    """Everything for which data written as `writer` cannot be read as `reader`; empty: all of it can."""
    checker = _Checker()
    result = checker.get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return list(dict.fromkeys(checker.found or _noted(result)))


def compare(new: Schema, old: Schema, level: Level) -> list[tuple[Difference, str, str]]:
    """Each difference with whose schema reads and whose is read (`new`, `old`), at this level."""
    both = level.direction is Level.FULL
    found = []
    if both or level.direction is Level.BACKWARD:
        found += [(each, "new", "old") for each in differences(new, old)]
    if both or level.direction is Level.FORWARD:
        found += [(each, "old", "new") for each in differences(old, new)]
    return found


def said(difference: Difference, reader: str, writer: str) -> str:
    """As Confluent's registry writes it in `messages`."""
    return f"{{errorType:'{difference.kind}', description:'{_describe(difference, reader, writer)}'}}"


def _describe(of: Difference, reader: str, writer: str) -> str:
    match of.kind:
        case "READER_FIELD_MISSING_DEFAULT_VALUE":
            return (
                f"The field '{of.message}' at path '{of.path}' in the {reader} schema has no default value and is "
                f"missing in the {writer} schema"
            )
        case "MISSING_ENUM_SYMBOLS":
            return f"The {reader} schema at path '{of.path}' is missing enum symbols {of.message} of the {writer} one"
        case "MISSING_UNION_BRANCH":
            return f"The union at path '{of.path}' of the {reader} schema cannot take: {of.message}"
        case _:
            return f"At path '{of.path}' the {reader} schema cannot read the {writer} one: {of.message}"


class _Checker(ReaderWriterCompatibilityChecker):
    """Apache's, noting each difference where it is found."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Difference] = []

    def get_compatibility(
        self, reader: Schema, writer: Schema, reference_token: str = "", location: list[str] | None = None
    ) -> SchemaCompatibilityResult:
        known = self.memoize_map.get(ReaderWriter(reader, writer))
        result = super().get_compatibility(reader, writer, reference_token, location)
        if result is known and result.compatibility is SchemaCompatibilityType.incompatible:
            # Compared before, elsewhere: what was noted there may be gone since another branch fits.
            self.found += _noted(result, "/".join([*(location or []), reference_token]))
        return result

    def calculate_compatibility(self, reader: Schema, writer: Schema, location: list[str]) -> SchemaCompatibilityResult:
        if writer.type == "union":
            return self._each(reader, cast(UnionSchema, writer), location)
        if reader.type == "union":
            return self._choice(cast(UnionSchema, reader), writer, location)
        if reader.type == writer.type and (moved := _moved(reader, writer)):
            failed = incompatible(SchemaIncompatibilityType.type_mismatch, moved, location)
            self.found += _noted(failed)
            return failed
        if reader.type == writer.type and reader.type in _NAMED:
            return self._same_kind(cast(NamedSchema, reader), cast(NamedSchema, writer), location)
        result = super().calculate_compatibility(reader, writer, location)
        if result.compatibility is not SchemaCompatibilityType.compatible and reader.type not in _holding(writer):
            self.found += _noted(result)
        return result

    def _each(self, reader: Schema, writer: UnionSchema, location: list[str]) -> SchemaCompatibilityResult:
        """Of a union written, every branch must be read."""
        return _all(self.get_compatibility(reader, branch, "", location) for branch in writer.schemas)

    def _choice(self, reader: UnionSchema, writer: Schema, location: list[str]) -> SchemaCompatibilityResult:
        """Into a union read goes what one of its branches takes."""
        for index, branch in enumerate(reader.schemas):
            # readers settle on such a one, whatever else would take bytes
            if _alike(branch, writer) and _moved(branch, writer):
                return self.get_compatibility(branch, writer, str(index), location)
        before = len(self.found)
        for index, branch in enumerate(reader.schemas):
            here = len(self.found)
            result = self.get_compatibility(branch, writer, str(index), location)
            if result.compatibility is SchemaCompatibilityType.compatible:
                del self.found[before:]
                return _FINE
            if not _alike(branch, writer):
                del self.found[here:]  # of branches that are something else nobody wants to hear
        message = f"reader union lacking writer type: {_named(writer)}"
        failed = incompatible(SchemaIncompatibilityType.missing_union_branch, message, location)
        if len(self.found) == before:
            self.found += _noted(failed)
        return failed

    def _same_kind(self, reader: NamedSchema, writer: NamedSchema, location: list[str]) -> SchemaCompatibilityResult:
        if not _answers_to(reader, writer):
            kind = SchemaIncompatibilityType.name_mismatch
            result = incompatible(kind, f"expected: {writer.fullname}", [*location, "name"])
        elif reader.type == "fixed":
            result = check_fixed_size(cast(FixedSchema, reader), cast(FixedSchema, writer), location)
        elif reader.type == "enum":
            enums = cast(EnumSchema, reader), cast(EnumSchema, writer)
            result = check_reader_enum_contains_writer_enum(*enums, location)
        else:
            return self._record(cast(RecordSchema, reader), cast(RecordSchema, writer), location)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            self.found += _noted(result)
        return result

    def _record(self, reader: RecordSchema, writer: RecordSchema, location: list[str]) -> SchemaCompatibilityResult:
        claims = _claims(reader)
        return _all(
            self._field(cast(Field, field), claims, writer, [*location, "fields", str(index)])
            for index, field in enumerate(reader.fields)
        )

    def _field(
        self, field: Field, claims: Mapping[str, str], writer: RecordSchema, location: list[str]
    ) -> SchemaCompatibilityResult:
        written = lookup_writer_field(writer_schema=writer, reader_field=field)
        if written is not None and claims[written.name] == field.name:
            return self.get_compatibility(field.type, written.type, "type", location)
        if field.has_default:
            return _FINE
        kind = SchemaIncompatibilityType.reader_field_missing_default_value
        failed = incompatible(kind, field.name, location)
        self.found += _noted(failed)
        return failed


def _all(results: Iterator[SchemaCompatibilityResult]) -> SchemaCompatibilityResult:
    """The first that is wrong, after all have been looked at."""
    wrong = [result for result in results if result.compatibility is SchemaCompatibilityType.incompatible]
    return wrong[0] if wrong else _FINE


def _noted(result: SchemaCompatibilityResult, path: str | None = None) -> Iterator[Difference]:
    """What is wrong, at that path, or where the result says."""
    path = path or max(result.locations - {"/"} or {"/"})
    path = "/" + "/".join(part for part in path.split("/") if part)
    message = "; ".join(sorted(result.messages)).replace("SchemaType.", "")
    for kind in dict.fromkeys(result.incompatibilities):
        yield Difference(kind.name.upper(), path, message)


def _moved(reader: Schema, writer: Schema) -> str | None:
    """Of two decimals, what became of their digits where numbers written would be read as others, or not be held.

    Avro's specification matches decimals of one scale and one precision alone. Java does not look: it reads with the
    reader's scale, so another one moves the point unseen. More digits than were written do no harm, and are taken.
    """
    decimals = (BytesDecimalSchema, FixedDecimalSchema)
    if not isinstance(reader, decimals) or not isinstance(writer, decimals):
        return None
    if reader.scale == writer.scale and reader.precision >= writer.precision:
        return None
    return f"decimal({writer.precision}, {writer.scale}) → decimal({reader.precision}, {reader.scale})"


def _answers_to(reader: NamedSchema, writer: NamedSchema) -> bool:
    """By its simple name or an alias; an alias without a namespace lies in the reader's."""
    aliases = reader.props.get("aliases")
    given = aliases if isinstance(aliases, list | tuple) else ()
    space = reader.fullname.rpartition(".")[0]
    return reader.name == writer.name or writer.fullname in {full_name(str(each), space) for each in given}


def _claims(reader: RecordSchema) -> dict[str, str]:
    """Written field → the one that reads it: its namesake, else the last with that alias. None is read twice."""
    fields = [cast(Field, field) for field in reader.fields]
    aliases = {alias: field.name for field in fields for alias in cast("list[str]", field.props.get("aliases") or [])}
    return aliases | {field.name: field.name for field in fields}


def _holding(writer: Schema) -> Sequence[str]:
    """Of two arrays or two maps, what is wrong lies within and has been noted there."""
    return (writer.type,) if writer.type in ("array", "map") else ()


def _alike(branch: Schema, writer: Schema) -> bool:
    same = branch.type == writer.type
    return same and (branch.type not in _NAMED or cast(NamedSchema, branch).name == cast(NamedSchema, writer).name)


def _named(schema: Schema) -> str:
    return cast(NamedSchema, schema).fullname if schema.type in _NAMED else str(schema.type).upper()
