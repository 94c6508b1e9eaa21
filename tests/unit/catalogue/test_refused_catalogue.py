"""Every way in which the YAML of the catalogue can be wrong, with the line that is told and what mends it."""

from __future__ import annotations

import pytest

from tests.unit.catalogue.folder import AGENCIES, GRANTED, MOD, RECORD, REGISTER, SERVICES, Schemas

# file, what is replaced, by what, where the problem is told, a part of the message, a part of the fix
CASES = {
    "unknown key": (AGENCIES, "assumed: true", "asumed: true", "asumed", "unknown key 'asumed'", "'assumed'"),
    "missing key": (AGENCIES, "  kind: own\n", "", "- code: zefer", "'kind' is missing", "add 'kind'"),
    "unknown agency kind": (
        AGENCIES,
        "kind: own",
        "kind: owned",
        "kind: owned",
        "unknown kind 'owned'",
        "'own'",
    ),
    "bad agency code": (
        AGENCIES,
        "code: zefer",
        "code: Zefer!",
        "code: Zefer!",
        "code 'Zefer!'",
        "a letter first",
    ),
    "an agency twice": (
        AGENCIES,
        "code: mod",
        "code: zefer",
        "- code: zefer\n  kind: partner",
        "'zefer' stands twice",
        "keep one",
    ),
    "unknown type published": (
        AGENCIES,
        "publishes: []",
        "publishes:\n    - az.zefer.veteran.VeteranStatusGiven",
        "VeteranStatusGiven",
        "unknown event type",
        "VeteranStatusGranted",
    ),
    "a type published twice": (
        AGENCIES,
        "publishes: []",
        (
            "publishes:\n    - az.zefer.veteran.VeteranStatusGranted\n"
            "    - az.zefer.veteran.VeteranStatusGranted\n  note: x"
        ),
        "    - az.zefer.veteran.VeteranStatusGranted\n  note",
        "stands twice",
        "keep one",
    ),
    "publishes that is no list": (
        AGENCIES,
        "publishes: []",
        "publishes: x",
        "publishes: x",
        "must be a list",
        "a list",
    ),
    "a name in one language": (
        AGENCIES,
        "{az: Zəfər, en: Zefer}",
        "{az: Zəfər}",
        "{az: Zəfər}",
        "'en' is missing",
        "add 'en'",
    ),
    "a name that is no text": (
        AGENCIES,
        "{az: Zəfər, en: Zefer}",
        "{az: Zəfər, en: no}",
        "en: no}",
        "found true or false",
        "quote it",
    ),
    "assumed that is no flag": (
        AGENCIES,
        "assumed: true",
        "assumed: perhaps",
        "assumed",
        "true or absent",
        "leave the key out",
    ),
    "another version": (REGISTER, "version: 1", "version: 2", "version", "version 2", "reads version 1"),
    "a stream twice": (
        REGISTER,
        "  service: {",
        "  veteran: {",
        "veteran: {name: {az: Xidmət",
        "stands twice",
        "first is on line 3",
    ),
    "a district without name": (
        REGISTER,
        "{name: {az: Bakı, en: Baku}}",
        "{}",
        "baki",
        "'name' is missing",
        "add 'name'",
    ),
    "a basis with an unknown key": (
        REGISTER,
        "assumed: true",
        "guess: true",
        "guess",
        "unknown key 'guess'",
        "assumed",
    ),
    "an alias": (
        REGISTER,
        "gence: {name: {az: Gəncə, en: Ganja}}",
        "gence: &g {name: {az: Gəncə, en: Ganja}}\n  quba: *g",
        "quba",
        "an alias",
        "write the part out",
    ),
    "unknown provider": (SERVICES, "[mod]", "[mods]", "[mods]", "unknown agency 'mods'", "'mod'"),
    "no provider": (SERVICES, "[mod]", "[]", "providers", "has no provider", "at least one agency"),
    "a service twice": (
        SERVICES,
        "[mod]",
        "[mod]\n- code: record\n  name: {az: A, en: B}\n  providers: [mod]",
        "- code: record\n  name: {az: A, en: B}",
        "'record' stands twice",
        "keep one",
    ),
    "unknown entitled type": (
        MOD,
        "az.zefer.service.ServiceRequested",
        "az.zefer.service.ServiceRequest",
        "ServiceRequest:",
        "unknown event type",
        "ServiceRequested",
    ),
    "a type entitled twice": (
        MOD,
        "az.zefer.service.ServiceRequested",
        "az.zefer.veteran.VeteranStatusGranted",
        "  az.zefer.veteran.VeteranStatusGranted:\n    basis: law\n    when: {provider",
        "stands twice",
        "first is on line 2",
    ),
    "unknown basis": (
        MOD,
        "basis: law\n    when: {category",
        "basis: lawn\n    when: {category",
        "basis: lawn",
        "unknown legal basis 'lawn'",
        "'law'",
    ),
    "no basis": (
        MOD,
        "basis: law\n    when: {category",
        "when: {category",
        "az.zefer.veteran",
        "'basis' is missing",
        "add 'basis'",
    ),
    "unknown clear field": (
        MOD,
        "effective_from]",
        "effective]",
        "effective]",
        "unknown field 'effective'",
        "'effective_from'",
    ),
    "unknown masked field": (
        MOD,
        "surname, percent]",
        "sirname, percent]",
        "sirname",
        "unknown field 'sirname'",
        "'surname'",
    ),
    "clear and masked": (
        MOD,
        "surname, percent]",
        "surname, fin]",
        "surname, fin]",
        "both clear and masked",
        "keep one",
    ),
    "a mask of an enum": (
        MOD,
        "[fin, category, effective_from]\n    masked: [surname, percent]",
        "[fin]\n    masked: [category]",
        "masked: [category]",
        "cannot be masked",
        "leave it out",
    ),
    "a mask of a date": (
        MOD,
        "effective_from]\n    masked: [surname, percent]",
        "surname]\n    masked: [effective_from]",
        "masked: [effective_from]",
        "is date, never null",
        "make it clear",
    ),
    "a mask of an array": (
        MOD,
        "surname, percent]",
        "household]",
        "household]",
        "is array, never null",
        "make it clear",
    ),
    "nothing seen": (
        MOD,
        "clear: [fin, category, effective_from]\n    masked: [surname, percent]",
        "clear: []",
        "az.zefer.veteran",
        "nothing of this type",
        "leave the type out",
    ),
    "when on no field": (
        MOD,
        "when: {category: WAR}",
        "when: {categry: WAR}",
        "when: {categry",
        "unknown field 'categry'",
        "'category'",
    ),
    "when on a nested field": (
        MOD,
        "when: {category: WAR}",
        "when: {kin: CHILD}",
        "when: {kin",
        "unknown field 'kin'",
        "did you mean",
    ),
    "when on a nullable field": (
        MOD,
        "district: [baki, gence]",
        "remark: x",
        "remark: x",
        "string or null",
        "never null",
    ),
    "when on a flag": (
        MOD,
        "district: [baki, gence]",
        "urgent: x",
        "urgent: x",
        "which is boolean",
        "string or enum",
    ),
    "when with no such symbol": (
        MOD,
        "{category: WAR}",
        "{category: WARS}",
        "WARS",
        "unknown symbol of 'category' 'WARS'",
        "'WAR'",
    ),
    "when with no such district": (
        MOD,
        "[baki, gence]",
        "[baki, ganja]",
        "ganja",
        "unknown district 'ganja'",
        "use one of baki, gence",
    ),
    "when with no such service": (
        MOD,
        "district: [baki, gence]",
        "service: recrod",
        "recrod",
        "unknown service 'recrod'",
        "'record'",
    ),
    "when with no such agency": (
        MOD,
        "provider: self",
        "provider: modd",
        "modd",
        "unknown agency 'modd'",
        "'mod'",
    ),
    "self where no agency is": (
        MOD,
        "{category: WAR}",
        "{category: self}",
        "{category: self}",
        "holds no agency",
        "the value itself",
    ),
    "when with no value": (
        MOD,
        "[baki, gence]",
        "[]",
        "district: []",
        "no value of 'district'",
        "at least one",
    ),
    "when that is no mapping": (
        MOD,
        "when: {category: WAR}",
        "when: WAR",
        "when: WAR",
        "a mapping is expected",
        "key: value",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_catalogue_is_refused(schemas: Schemas, case: str) -> None:
    file, old, new, marker, message, fix = CASES[case]
    schemas.replace(file, old, new)
    found = [p for p in schemas.problems() if message in p.message and p.file == f"schemas/{file}"]
    assert len(found) == 1, f"{case}: " + "\n".join(map(str, schemas.problems()))
    schemas.assert_told(found[0], file, marker, fix)


def test_an_entitlement_file_is_named_by_its_agency(schemas: Schemas) -> None:
    schemas.write("catalogue/entitlements/modd.yaml", "receives: {}\n")
    problem = schemas.only_problem()
    assert problem.message == "unknown agency 'modd'"
    schemas.assert_told(problem, "catalogue/entitlements/modd.yaml", "receives", "did you mean 'mod'?")


@pytest.mark.parametrize("file", [AGENCIES, SERVICES])
def test_a_list_is_a_list(schemas: Schemas, file: str) -> None:
    schemas.write(file, "zefer: {kind: own}\n")
    assert any(p.line == 1 and "write a list" in p.fix for p in schemas.problems() if p.file.endswith(file))


@pytest.mark.parametrize(
    "file", ["catalogue/districts.yaml", "events/Granted.json", "catalogue/entitlements/mod.yml", "notes.txt"]
)
def test_a_file_that_nothing_reads_is_refused(schemas: Schemas, file: str) -> None:
    schemas.write(file, "{}\n")
    problem = schemas.only_problem()
    assert (problem.file, problem.line) == (f"schemas/{file}", 1)
    assert "nothing reads this file" in problem.message


def test_notes_and_released_versions_are_left_alone(schemas: Schemas) -> None:
    schemas.write("README.md", "words")
    schemas.write("released/1/anything.avsc", "{")
    schemas.load()


def test_a_missing_list_is_named(schemas: Schemas) -> None:
    (schemas.folder / SERVICES).unlink()
    problem = schemas.only_problem()
    assert (problem.file, problem.line) == (f"schemas/{SERVICES}", 1)
    assert "missing" in problem.message


@pytest.mark.parametrize(("file", "kind"), [(GRANTED, "JSON"), (RECORD, "JSON"), (AGENCIES, "YAML"), (MOD, "YAML")])
def test_a_file_that_does_not_parse_is_told_with_its_line(schemas: Schemas, file: str, kind: str) -> None:
    broken = schemas.text(file) + "\n}]"
    schemas.write(file, broken)
    problem = schemas.only_problem()
    assert problem.file == f"schemas/{file}"
    assert problem.message.startswith(f"not {kind}")
    assert problem.line == broken.count("\n") + 1


def test_yaml_is_not_json(schemas: Schemas) -> None:
    schemas.replace(RECORD, '"namespace": "hub"', "namespace: hub")
    problem = schemas.only_problem()
    assert (problem.line, problem.message[:8]) == (2, "not JSON")


def test_text_that_is_not_utf_8(schemas: Schemas) -> None:
    (schemas.folder / AGENCIES).write_bytes(b"\xff\xfe\x00")
    assert schemas.only_problem().fix == "save it as UTF-8 text"


def test_all_problems_are_told_at_once_in_order(schemas: Schemas) -> None:
    schemas.replace(GRANTED, '"owner": "zefer"', '"owner": "nobody"')
    schemas.replace(AGENCIES, "kind: own", "kind: other")
    schemas.replace(SERVICES, "[mod]", "[none]")
    schemas.replace(MOD, "provider: self", "provdier: self")
    problems = schemas.problems()
    assert [p.file for p in problems] == sorted(p.file for p in problems)
    assert {p.file for p in problems} == {f"schemas/{file}" for file in (GRANTED, AGENCIES, SERVICES, MOD)}


def test_a_broken_type_is_told_once_not_by_all_who_refer_to_it(schemas: Schemas) -> None:
    schemas.replace(GRANTED, '"type": ["null", "int"]', '"type": "Nothing"')
    assert "Nothing" in schemas.only_problem().message


def test_a_problem_reads_as_one_would_tell_it(schemas: Schemas) -> None:
    schemas.replace(AGENCIES, "kind: own", "kind: owned")
    told = str(schemas.only_problem())
    assert told == "schemas/catalogue/agencies.yaml:2: unknown kind 'owned'\n    fix: did you mean 'own'?"
