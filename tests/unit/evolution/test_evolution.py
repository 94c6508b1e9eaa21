"""Schemas change as a workflow: what was released is frozen, what breaks is refused, and whom it breaks is said."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from world import catalogue

from hub import cli, logs
from hub.catalogue import SCHEMAS
from hub.evolution.breaks import PUBLISHES, Broken, Readers, broken
from hub.evolution.changes import Change, changes
from hub.evolution.check import check
from hub.evolution.released import read_released

TYPE = "az.zefer.veteran.VeteranStatusGranted"
FILE = f"events/{TYPE}.avsc"
AMOUNT = "az.zefer.support.VoucherIssued"
Edit = Callable[[dict[str, Any]], None]


def publishers(type: str) -> set[str]:
    return {agency.code for agency in catalogue().agencies.values() if type in agency.publishes}


PUBLISHERS = publishers(TYPE)


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / FILE).read_text())
    return found


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in schema["fields"] if each["name"] == name)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The shipped schemas, to be changed."""
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def edit(tree: Path, how: Edit) -> None:
    schema = shipped()
    how(schema)
    (tree / FILE).write_text(json.dumps(schema, indent=2))


def hub(tree: Path, *words: str) -> tuple[int, str, str]:
    """The command as it is typed: code, output, errors."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        patch.setenv("HUB_SCHEMAS", str(tree))
        patch.setenv("HUB_DATA_DIR", str(tree / "no-hub"))
        patch.setattr(sys, "argv", ["hub", *words])
        patch.setattr(logs, "configure", lambda *_: None)
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0), out.getvalue(), err.getvalue()


def remove(name: str) -> Edit:
    return lambda schema: schema["fields"].remove(field(schema, name))


def retype(name: str, type: Any) -> Edit:
    return lambda schema: field(schema, name).update(type=type)


def add(**more: Any) -> Edit:
    new = {"name": "note", "type": "string", "doc": "A note.", "classification": "open", **more}
    return lambda schema: schema["fields"].append(new)


def test_no_released_schema_was_altered() -> None:
    problems: list[Any] = []
    released = read_released(SCHEMAS, problems)
    assert problems == []
    assert [each.version for each in released[TYPE]] == list(range(1, len(released[TYPE]) + 1))


def test_the_working_tree_can_be_released() -> None:
    found, problems = check(SCHEMAS)
    assert problems == []
    assert {each.state for each in found} <= {"unchanged", "changed", "new"}


@pytest.mark.parametrize("harm", ["altered", "removed", "unknown"])
def test_what_was_released_stays(tree: Path, harm: str) -> None:
    path = tree / "released" / f"{TYPE}.v1.avsc"
    if harm == "altered":
        path.write_text(path.read_text() + " ")
    elif harm == "removed":
        path.unlink()
    else:
        shutil.copy(path, path.with_name(f"{TYPE}.v9.avsc"))
    _, problems = check(tree)
    assert any(each.file.startswith("schemas/released/") for each in problems)


@pytest.mark.parametrize(
    ("how", "where"),
    [
        (retype("document_date", "string"), "/fields/9/type"),
        (add(), "/fields/13"),
        (lambda schema: field(schema, "category")["type"]["symbols"].remove("LABOUR"), "/fields/5/type/symbols"),
    ],
)
def test_what_makes_kept_events_unreadable_is_refused_with_its_path(tree: Path, how: Edit, where: str) -> None:
    edit(tree, how)
    found, problems = check(tree)
    assert next(each for each in found if each.name == TYPE).state == "broken"
    assert [each.message for each in problems if where in each.message]
    code, said, errors = hub(tree, "schema", "check")
    assert code == 1 and "cannot be released" in said and where in errors


UNSOUND = {
    "not JSON": lambda text: text + "}",
    "unknown type 'nothing'": lambda text: text.replace('"string"', '"nothing"', 1),
    "one record": lambda _: "[]",
    "cannot be read": lambda _: "[" * 100_000,
}


@pytest.mark.parametrize("said", UNSOUND)
def test_what_is_no_schema_is_told_with_file_and_line(tree: Path, said: str) -> None:
    (tree / FILE).write_text(UNSOUND[said](json.dumps(shipped(), indent=2)))
    for command, expected in (("check", 1), ("diff", 2)):
        code, _, errors = hub(tree, "schema", command)
        assert code == expected and f"schemas/{FILE}:" in errors and said in errors, errors


def test_a_release_that_is_no_schema_any_more_is_told(tree: Path) -> None:
    (tree / "released" / f"{TYPE}.v1.avsc").write_text("{")
    code, _, errors = hub(tree, "schema", "check")
    assert code == 1 and f"schemas/released/{TYPE}.v1.avsc" in errors and "was altered" in errors
    code, _, errors = hub(tree, "schema", "diff")
    assert code == 2 and "was altered" in errors


def test_a_type_that_was_released_cannot_go(tree: Path) -> None:
    (tree / FILE).unlink()
    _, problems = check(tree)
    assert any("was released and is gone" in each.message for each in problems)


def hits(found: list[Broken]) -> dict[str, dict[str, str]]:
    """Field → who is hit → how."""
    return {each.change.path: {hit.who: hit.how for hit in each.hits} for each in found}


def told(tree: Path, how: Edit, reads: Any = None) -> dict[str, dict[str, str]]:
    new = shipped()
    how(new)
    return hits(broken(TYPE, shipped(), new, Readers(tree, reads or {})))


def test_a_field_that_goes_hits_everyone_who_gets_it(tree: Path) -> None:
    found = told(tree, remove("surname"), {"letters": {TYPE: frozenset({"surname"})}})["surname"]
    assert found["zefer"] == "receives it clear" and found["fis"] == "receives it masked"
    assert found["connector letters"] == "its code reads it"
    assert "dsmf" not in found and "hub" not in found


def test_a_field_that_entitlements_ask_for_hits_their_agencies(tree: Path) -> None:
    found = told(tree, retype("district", "bytes"))["district"]  # each can be read as the other
    assert set(found.values()) == {"its entitlement's `when` asks for it"} and "ih-abseron" in found
    found = told(tree, remove("service_branch"))["service_branch"]
    assert found["fis"] == "its entitlement's `when` asks for it"
    assert found["hub"] == "the status is computed from it"


def test_a_new_symbol_hits_the_programs_of_receivers_only(tree: Path) -> None:
    found = told(tree, lambda schema: field(schema, "category")["type"]["symbols"].append("PEACE"))["category"]
    assert "zefer" in found and "hub" not in found


def test_what_reads_as_before_hits_nobody(tree: Path) -> None:
    assert told(tree, add(default="")) == {"note": {}}
    assert told(tree, lambda schema: field(schema, "name").update(doc="The given name.", maxLength=200)) == {"name": {}}


def test_a_field_without_a_default_hits_the_kept_events_and_those_who_do_not_send_it(tree: Path) -> None:
    found = told(tree, add())["note"]
    assert found.pop("hub") == "kept events cannot be read as the new version"
    assert set(found) == PUBLISHERS and set(found.values()) == {PUBLISHES}


def rename(old: str, new: str) -> Edit:
    return lambda schema: field(schema, old).update(name=new, aliases=[old])


def test_a_renamed_field_is_gone_for_those_who_know_its_old_name(tree: Path) -> None:
    found = told(tree, rename("surname", "family_name"), {"letters": {TYPE: frozenset({"surname"})}})["surname"]
    assert found["zefer"] == "receives it clear" and found["fis"] == "receives it masked"
    assert found["connector letters"] == "its code reads it" and "hub" not in found
    assert set(found) >= PUBLISHERS


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("surname", {"maxLength": 40}),
        ("surname", {"pattern": "[A-Z]+"}),
        ("district", {"catalogue": "services"}),
        ("document_number", {"classification": "identifier"}),
    ],
)
def test_a_narrower_field_hits_those_who_publish_it(tree: Path, name: str, change: dict[str, Any]) -> None:
    found = told(tree, lambda schema: field(schema, name).update(change))
    assert found == {name: dict.fromkeys(PUBLISHERS, PUBLISHES)}


def test_a_new_rule_hits_those_who_publish_the_type(tree: Path) -> None:
    found = told(tree, lambda schema: schema["rules"].append(["birth_date", "<", "effective_from"]))
    assert found == {"": dict.fromkeys(PUBLISHERS, PUBLISHES)}


def test_a_wider_field_hits_nobody(tree: Path) -> None:
    assert told(tree, lambda schema: field(schema, "surname").pop("maxLength")) == {"surname": {}}
    assert told(tree, lambda schema: schema["rules"].clear()) == {"": {}}


def test_whoever_publishes_a_withdrawn_type_is_named(tree: Path) -> None:
    (tree / FILE).unlink()
    code, said, _ = hub(tree, "schema", "diff", TYPE, "--json")
    (row,) = json.loads(said)
    assert code == 3 and {each["who"] for each in row["breaks"] if each["how"] == PUBLISHES} == PUBLISHERS


@pytest.mark.parametrize(("precision", "scale"), [(14, 4), (10, 2)])
def test_digits_that_move_or_go_make_kept_amounts_unreadable(tree: Path, precision: int, scale: int) -> None:
    path = tree / f"events/{AMOUNT}.avsc"
    schema = json.loads(path.read_text())
    field(schema, "value")["type"][1].update(precision=precision, scale=scale)
    path.write_text(json.dumps(schema, indent=2))
    said = f"decimal(12, 2) → decimal({precision}, {scale})"
    code, _, errors = hub(tree, "schema", "check")
    assert code == 1 and said in errors and "/fields/" in errors
    (row,) = json.loads(hub(tree, "schema", "diff", "--json")[1])
    assert (row["field"], row["detail"]) == ("value", said)
    hit = {each["who"] for each in row["breaks"]}
    receivers = {e.agency for e in catalogue().entitlements[AMOUNT] if "value" in e.clear | e.masked}
    assert "hub" in hit and hit >= publishers(AMOUNT) and (scale == 2 or hit >= receivers)


def test_more_digits_hit_those_who_read_as_before(tree: Path) -> None:
    path = tree / f"events/{AMOUNT}.avsc"
    schema = json.loads(path.read_text())
    field(schema, "value")["type"][1].update(precision=14)
    path.write_text(json.dumps(schema, indent=2))
    assert hub(tree, "schema", "check")[0] == 0
    (row,) = json.loads(hub(tree, "schema", "diff", "--json")[1])
    receivers = {e.agency for e in catalogue().entitlements[AMOUNT] if "value" in e.clear | e.masked}
    assert {each["who"] for each in row["breaks"]} == receivers


def test_diff_tells_people_and_programs(tree: Path) -> None:
    assert hub(tree, "schema", "diff") == (0, "nothing has changed since the last release\n", "")
    edit(tree, remove("surname"))  # the catalogue no longer loads: entitlements name the field
    code, said, _ = hub(tree, "schema", "diff")
    assert code == 3 and "surname" in said and "receives it clear" in said
    code, said, _ = hub(tree, "schema", "diff", TYPE, "--json")
    (row,) = json.loads(said)
    assert code == 3 and (row["type"], row["field"], row["change"]) == (TYPE, "surname", "field removed")
    assert {"who": "zefer", "how": "receives it clear"} in row["breaks"]
    edit(tree, add(default=""))
    assert hub(tree, "schema", "diff", "--json")[0] == 0
    assert hub(tree, "schema", "diff", "az.zefer.Nothing")[0] == 2


def test_a_release_freezes_what_has_changed(tree: Path) -> None:
    edit(tree, add(default=""))
    assert hub(tree, "schema", "release")[:2] == (0, f"{TYPE}.v2.avsc\n")
    found, problems = check(tree)
    assert problems == [] and {each.state for each in found} == {"unchanged"}
    assert next(each for each in found if each.name == TYPE).version == 2
    assert hub(tree, "schema", "release")[1] == "nothing has changed since the last release\n"
    edit(tree, add())
    assert hub(tree, "schema", "release")[0] == 2


def test_a_lane_that_is_none_is_refused() -> None:
    code, _, said = hub(SCHEMAS, "schema", "scanner", TYPE, "--lane", "nonsense")
    assert code == 2 and "nonsense" in said
    assert hub(SCHEMAS, "schema", "scanner", TYPE, "--lane", "gate")[0] == 0


def test_changes_within_records_lists_and_names() -> None:
    old = {
        "type": "record",
        "name": "A",
        "namespace": "t",
        "fields": [
            {"name": "one", "type": {"type": "record", "name": "B", "fields": [{"name": "x", "type": "int"}]}},
            {"name": "many", "type": {"type": "array", "items": "B"}},
            {"name": "old", "type": "int"},
        ],
    }
    new = json.loads(json.dumps(old))
    new["fields"][0]["type"]["fields"][0]["type"] = "long"
    new["fields"][2] = {"name": "fresh", "type": "int", "aliases": ["old"]}
    assert changes(old, new) == [
        Change("one.x", "type changed", "int → long"),
        Change("many.x", "type changed", "int → long"),
        Change("old", "field renamed", "to fresh, which has it as an alias"),
    ]


def test_a_size_and_the_default_of_an_enum_are_told() -> None:
    fixed = {"type": "fixed", "name": "F", "size": 4}
    enum = {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}
    old = {"type": "record", "name": "R", "fields": [{"name": "f", "type": fixed}, {"name": "e", "type": enum}]}
    new = json.loads(json.dumps(old))
    new["fields"][0]["type"]["size"] = 8
    del new["fields"][1]["type"]["default"]
    assert changes(old, new) == [
        Change("f", "type changed", "4 bytes → 8 bytes"),
        Change("e", "said otherwise", "default of E"),
    ]
