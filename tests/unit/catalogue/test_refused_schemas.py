"""Every way in which an event schema can be wrong, with the line that is told and what mends it."""

from __future__ import annotations

import pytest

from tests.unit.catalogue.folder import GRANTED, RECORD, REQUESTED, Schemas

# what is replaced, by what, where the problem is told, a part of the message, a part of the fix
CASES = {
    "unknown key": (
        '"owner": "zefer"',
        '"owner": "zefer",\n  "ownr": "x"',
        '"ownr"',
        "unknown key 'ownr'",
        "owner",
    ),
    "unknown field key": (
        '"Number.", "classification"',
        '"Number.", "klass": 1, "classification"',
        '"klass"',
        "unknown key 'klass'",
        "classification",
    ),
    "unknown stream": (
        '"stream": "veteran"',
        '"stream": "veterans"',
        '"stream"',
        "unknown stream",
        "'veteran'",
    ),
    "unknown owner": ('"owner": "zefer"', '"owner": "zefr"', '"owner"', "unknown agency 'zefr'", "'zefer'"),
    "no retention": ('\n  "retention": "P75Y",', "", "{", "'retention' is missing", "add 'retention'"),
    "bad retention": ('"P75Y"', '"75 years"', '"retention"', "retention '75 years'", "P75Y"),
    "wrong namespace": (
        '"az.zefer.veteran"',
        '"az.zefer.vet"',
        '"namespace"',
        "namespace",
        "'az.zefer.veteran'",
    ),
    "no namespace": (' "namespace": "az.zefer.veteran",', "", "{", "namespace None", "'az.zefer.veteran'"),
    "wrong file name": (
        '"VeteranStatusGranted"',
        '"StatusGranted"',
        '"name"',
        "not named by",
        "StatusGranted.avsc",
    ),
    "no doc": ('"doc": "Surname.", ', "", '"surname"', "field 'surname' has no doc", "doc"),
    "no record doc": ('\n  "doc": "A status was granted.",', "", "{", "has no doc", "doc"),
    "no enum doc": ('"doc": "Kinds.",', "", '{"name": "category"', "enum 'Category' has no doc", "doc"),
    "no classification": (
        '"doc": "Surname.", "classification": "personal"',
        '"doc": "Surname."',
        '"surname"',
        "field 'surname': no classification",
        "open, personal, special, identifier",
    ),
    "nested field without classification": (
        '"Kinship.", "classification": "personal"',
        '"Kinship."',
        '"kin"',
        "field 'kin': no classification",
        '"classification"',
    ),
    "unknown classification": (
        '"doc": "Surname.", "classification": "personal"',
        '"doc": "Surname.", "classification": "personel"',
        '"surname"',
        "unknown classification 'personel'",
        "'personal'",
    ),
    "a FİN that is no identifier": (
        '"name": "member_fin", "type": "string", "doc": "FIN.", "classification": "identifier"',
        '"name": "member_fin", "type": "string", "doc": "FIN.", "classification": "personal"',
        "member_fin",
        "a FİN classified 'personal'",
        "identifier",
    ),
    "an identifier without the pattern": (
        '"doc": "ID.", "classification": "identifier", "pattern": "[0-9A-Z]{7}"}',
        '"doc": "ID.", "classification": "identifier"}',
        '{"name": "fin"',
        "an identifier that is no FİN",
        "[0-9A-Z]{7}",
    ),
    "pattern on a number": (
        '"minimum": 0, ',
        '"pattern": "x", ',
        '"pattern": "x"',
        "'pattern' on int",
        "leave it out",
    ),
    "broken pattern": (
        '"maxLength": 100',
        '"pattern": "("',
        '"surname"',
        "no regular expression",
        "correct it",
    ),
    "minimum on a text": (
        '"maxLength": 100',
        '"minimum": 1',
        '"surname"',
        "'minimum' on string",
        "leave it out",
    ),
    "minimum above maximum": (
        '"minimum": 0',
        '"minimum": 101',
        '"minimum"',
        "above 'maximum'",
        "exchange",
    ),
    "minimum that is no number": (
        '"minimum": 0',
        '"minimum": "0"',
        '"minimum"',
        "no number",
        "a number",
    ),
    "maxLength of zero": ('"maxLength": 100', '"maxLength": 0', '"surname"', "'maxLength'", "longest"),
    "unknown list": ('"maxLength": 100', '"catalogue": "towns"', '"surname"', "'towns'", "districts"),
    "recursion": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": "Member"',
        '"kin"',
        "'az.zefer.veteran.Member' contains itself",
        "flat records",
    ),
    "recursion through an array": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": ["null", {"type": "array", "items": "VeteranStatusGranted"}]',
        '"kin"',
        "contains itself",
        "flat records",
    ),
    "an array of null": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": "array", "items": "null"}',
        '"kin"',
        "takes no bytes",
        "give the item a value",
    ),
    "a map of null": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": "map", "values": {"type": "null"}}',
        '"kin"',
        "takes no bytes",
        "give the item a value",
    ),
    "an array of records of null": (
        '"name": "kin", "type": "string"',
        (
            '"name": "kin", "type": {"type": "array", "items": {"type": "record", "name": "Void", '
            '"doc": "No.", '
            '"fields": [{"name": "gap", "type": "null", "doc": "No.", "classification": "open"}]}}'
        ),
        '"kin"',
        "takes no bytes",
        "give the item a value",
    ),
    "a fixed of no bytes": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": "fixed", "name": "Nil", "doc": "No.", "size": 0}',
        '"kin"',
        "no size above 0",
        "number of bytes",
    ),
    "a record without fields": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": "record", "name": "Nil", "doc": "No.", "fields": []}',
        '"kin"',
        "at least one field",
        "list its fields",
    ),
    "nested too deep": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": ' + '{"type": "array", "items": ' * 6 + '"string"' + "}" * 6,
        '"kin"',
        "deeper than 8",
        "flatten",
    ),
    "unknown type": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": "Sting"',
        '"kin"',
        "'Sting'",
        "correct",
    ),
    "no type at all": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": 7',
        '"kin"',
        "no Avro type",
        "primitive",
    ),
    "a type in a type": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": {"type": "string"}}',
        '"kin"',
        "no Avro type",
        "primitive",
    ),
    "a field without type": (
        '"name": "kin", "type": "string",',
        '"name": "kin",',
        '"kin"',
        "a name and a type",
        '"type"',
    ),
    "a field twice": ('"name": "kin"', '"name": "member_fin"', '"Kinship."', "stands twice", "keep one"),
    "a field in camel case": ('"name": "kin"', '"name": "kinShip"', "kinShip", "lower_snake_case", "rename"),
    "a named type twice": (
        '"name": "Member"',
        '"name": "Category"',
        '"A member."',
        "defined twice",
        "rename one",
    ),
    "union in a union": (
        '["null", "int"]',
        '["null", ["int"]]',
        '{"name": "percent"',
        "a union directly inside a union",
        "merge",
    ),
    "union with a branch twice": (
        '["null", "int"]',
        '["int", "int"]',
        '{"name": "percent"',
        "'int' twice",
        "keep one",
    ),
    "union of the word record": (
        '["null", "int"]',
        '["null", "record"]',
        '{"name": "percent"',
        "unknown type 'record'",
        "correct the name",
    ),
    "empty union": ('["null", "int"]', "[]", '{"name": "percent"', "needs branches", "list them"),
    "symbols twice": ('["WAR", "LABOUR"]', '["WAR", "WAR"]', '"symbols"', "stands twice", "keep one"),
    "no symbols": ('["WAR", "LABOUR"]', "[]", '"symbols"', "needs symbols", "list them"),
    "enum default": (
        '"symbols": ["WAR", "LABOUR"]',
        '"symbols": ["WAR", "LABOUR"],\n      "default": "PEACE"',
        '"default"',
        "'PEACE' is no symbol",
        "one of its symbols",
    ),
    "field default of an enum": (
        '"doc": "Kind.",',
        '"doc": "Kind.", "default": "PEACE",',
        '"default"',
        "default of 'category'",
        "a symbol",
    ),
    "default of a map": (
        '"name": "kin", "type": "string",',
        '"name": "kin", "type": {"type": "map", "values": "Category"}, "default": {"a": "PEACE"},',
        '"kin"',
        "default of 'kin'",
        "a symbol",
    ),
    "default of the second branch": (
        '"doc": "Loss.",',
        '"doc": "Loss.", "default": 0,',
        '"percent", "type"',
        "default of 'percent'",
        "the first branch counts",
    ),
    "unknown logical type": (
        '"logicalType": "date"}, "doc": "From."',
        '"logicalType": "dat"}, "doc": "From."',
        '"From."',
        "'dat' on int",
        "date (int)",
    ),
    "decimal without precision": (
        '"name": "kin", "type": "string"',
        '"name": "kin", "type": {"type": "bytes", "logicalType": "decimal", "scale": 2}',
        '"kin"',
        "decimal",
        "precision",
    ),
    "a key of no kind": ('{"person": "fin"}', '{"citizen": "fin"}', '"key"', "one subject", '"person"'),
    "a key of two kinds": (
        '{"person": "fin"}',
        '{"person": "fin", "case": "fin"}',
        '"key"',
        "one subject",
        '"person"',
    ),
    "a key that is no field": (
        '{"person": "fin"}',
        '{"person": "fine"}',
        '"key"',
        "unknown field 'fine'",
        "'fin'",
    ),
    "a person not keyed by fin": (
        '{"person": "fin"}',
        '{"person": "surname"}',
        '"key"',
        "'surname'",
        '"fin"',
    ),
    "a key that is no text": (
        '{"person": "fin"}',
        '{"person": "effective_from"}',
        '"key"',
        "which is date",
        "string",
    ),
    "unknown transition": (
        '"transition": "set"',
        '"transition": "sat"',
        '"transition"',
        "unknown transition",
        "'set'",
    ),
    "annulment of nothing": (
        '"transition": "set"',
        '"transition": "annul"',
        '"status"',
        "names no decision",
        "voids",
    ),
    "unknown status key": (
        '"until": "valid',
        '"untill": "valid',
        '"untill"',
        "unknown key 'untill'",
        "'until'",
    ),
    "effective that is no date": (
        '"effective": "effective_from"',
        '"effective": "surname"',
        '"effective"',
        "which is string",
        "date",
    ),
    "effective that may be null": (
        '"effective": "effective_from"',
        '"effective": "valid_until"',
        '"effective"',
        "may be null",
        "never null",
    ),
    "until that does not exist": (
        '"until": "valid_until"',
        '"until": "valid"',
        '"until"',
        "unknown field 'valid'",
        "'valid_until'",
    ),
    "slot that may be null": ('"slot": "category"', '"slot": "percent"', '"slot"', "which is int", "string"),
    "a status kind in capitals": (
        '"kind": "veteran"',
        '"kind": "Veteran"',
        '"kind"',
        "status kind 'Veteran'",
        "a–z",
    ),
    "a record carried": (
        '"category", "percent"]',
        '"household"]',
        '"carries"',
        "which is array",
        "name a field",
    ),
    "a FİN carried": ('"category", "percent"]', '"fin"]', '"carries"', "would show the FİN", "leave it out"),
    "a rule without operator": (
        '["effective_from", "<", "valid_until"]',
        '["effective_from", "valid_until"]',
        '["effective_from"',
        "a rule is",
        '"<"',
    ),
    "a rule with another operator": (
        '["effective_from", "<", "valid_until"]',
        '["effective_from", ">", "valid_until"]',
        '["effective_from"',
        "a rule is",
        '"<"',
    ),
    "a rule over unlike fields": (
        '["effective_from", "<", "valid_until"]',
        '["effective_from", "<", "percent"]',
        '["effective_from"',
        "'percent' is int",
        "one type",
    ),
    "a rule over texts": (
        '["effective_from", "<", "valid_until"]',
        '["surname", "<", "valid_until"]',
        '["surname"',
        "which is string",
        "date",
    ),
    "a rule over no field": (
        '["effective_from", "<", "valid_until"]',
        '["effective_from", "<", "valid"]',
        '["effective_from"',
        "unknown field",
        "'valid_until'",
    ),
    "a key of JSON twice": (
        '"owner": "zefer"',
        '"owner": "zefer",\n  "owner": "mod"',
        '"owner": "mod"',
        "key 'owner' stands twice",
        "first is on line 5",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_event_schema_is_refused(schemas: Schemas, case: str) -> None:
    old, new, marker, message, fix = CASES[case]
    schemas.replace(GRANTED, old, new)
    found = [p for p in schemas.problems() if message in p.message]
    assert len(found) == 1, f"{case}: " + "\n".join(map(str, schemas.problems()))
    schemas.assert_told(found[0], GRANTED, marker, fix)


def test_a_case_changes_nobodys_status(schemas: Schemas) -> None:
    status = '"status": {"kind": "x", "transition": "end", "effective": "case_number", "carries": []},\n  '
    schemas.replace(REQUESTED, '"fields": [', status + '"fields": [')
    first = next(p for p in schemas.problems() if "a case changes nobody's status" in p.message)
    schemas.assert_told(first, REQUESTED, '"status"', "leave `status` out")


def test_a_kind_has_a_slot_in_all_its_types_or_in_none(schemas: Schemas) -> None:
    other = schemas.text(GRANTED).replace('"VeteranStatusGranted"', '"VeteranStatusMended"')
    other = other.replace('    "slot": "category",\n', "").replace('"Category"', '"C"').replace('"Member"', '"M"')
    file = GRANTED.replace("Granted", "Mended")
    schemas.write(file, other)
    schemas.assert_told(schemas.only_problem(), file, '"status"', "all its types a slot, or none")


def test_two_files_must_not_define_the_same_named_type(schemas: Schemas) -> None:
    other = schemas.text(GRANTED).replace('"VeteranStatusGranted"', '"VeteranStatusMended"')
    file = GRANTED.replace("Granted", "Mended")
    schemas.write(file, other.replace('"Category"', '"MendedCategory"'))
    problem = schemas.only_problem()
    assert "'az.zefer.veteran.Member' is also defined in schemas/events/" in problem.message
    schemas.assert_told(problem, file, '"Member"', "begin its name with its event's")


def test_what_fastavro_alone_refuses_is_refused(schemas: Schemas, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr("fastavro.parse_schema", refuse)
    assert {(p.message, p.line) for p in schemas.problems()} == {("fastavro refuses it: 'odd'", 1)}


def test_a_schema_file_holds_one_record(schemas: Schemas) -> None:
    schemas.write(RECORD, '["null"]')
    schemas.assert_told(schemas.only_problem(), RECORD, "[", '"record"')


def test_hub_records_need_docs_too(schemas: Schemas) -> None:
    schemas.replace(RECORD, ', "doc": "The text."', "")
    schemas.assert_told(schemas.only_problem(), RECORD, '"text"', "doc")


def test_hub_records_are_named_by_their_file(schemas: Schemas) -> None:
    schemas.replace(RECORD, '"Note"', '"Notes"')
    schemas.assert_told(schemas.only_problem(), RECORD, '"name"', "hub.Notes.avsc")
