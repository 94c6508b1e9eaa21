"""Projections: what receivers get is cut from the event's schema, field by field."""

from __future__ import annotations

import json
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from hub.avro.resolve import resolve
from hub.catalogue import Catalogue, EventType, Mask, load
from hub.catalogue.fields import looks
from hub.catalogue.projection import project
from tests.unit.catalogue.folder import AGENCIES, MOD, Schemas

GRANTED = "az.zefer.veteran.VeteranStatusGranted"
TYPES = list(load().types.values())


def test_equal_masks_share_one_projection(schemas: Schemas) -> None:
    schemas.write("catalogue/entitlements/zefer.yaml", schemas.text(MOD).replace("category: WAR", "category: LABOUR"))
    catalogue = schemas.load()
    mod, zefer = catalogue.entitlements[GRANTED]
    assert mod.mask == zefer.mask
    assert mod.when != zefer.when
    assert len(catalogue.projections) == 2


def test_the_order_of_fields_in_the_file_does_not_matter(schemas: Schemas) -> None:
    before = set(schemas.load().projections)
    schemas.replace(MOD, "[fin, category, effective_from]", "[effective_from, fin, category]")
    assert set(schemas.load().projections) == before


def test_a_projection_is_named_by_its_mask_and_keeps_what_fields_say(schemas: Schemas) -> None:
    catalogue = schemas.load()
    mask = catalogue.entitlements[GRANTED][0].mask
    projection = catalogue.projections[mask]
    assert projection.name == f"{GRANTED}View_{mask.digest}"
    assert [f["name"] for f in projection.schema["fields"]] == [
        "fin",
        "surname",
        "category",
        "percent",
        "effective_from",
    ]
    fin = _field(projection.schema, "fin")
    assert (fin["classification"], fin["pattern"], fin["doc"]) == ("identifier", "[0-9A-Z]{7}", "ID.")
    assert _field(projection.schema, "effective_from")["type"]["logicalType"] == "date"


def test_a_masked_field_keeps_its_type_and_loses_its_constraints(schemas: Schemas) -> None:
    catalogue = schemas.load()
    (projection,) = (p for mask, p in catalogue.projections.items() if mask.masked)
    assert _field(projection.schema, "surname") == {
        "name": "surname",
        "type": "string",
        "doc": "Surname.",
        "classification": "personal",
        "masked": True,
    }
    assert _field(projection.schema, "percent")["type"] == ["null", "int"]
    assert "masked: percent, surname" in projection.schema["doc"]


def test_the_digest_of_a_mask_is_fixed_for_ever() -> None:
    mask = Mask("a.B", frozenset({"y", "x"}), frozenset({"z"}))
    assert mask.digest == "e7b8bb0a"


def test_a_type_that_is_referred_to_is_defined_where_it_first_appears(schemas: Schemas) -> None:
    file = "events/az.zefer.veteran.VeteranStatusGranted.avsc"
    schemas.replace(file, '"name": "kin", "type": "string"', '"name": "kin", "type": "Category"')
    schemas.replace(MOD, "[fin, category, effective_from]", "[household]")
    schemas.replace(MOD, "{category: WAR}", "{surname: x}")
    catalogue = schemas.load()
    mask = catalogue.entitlements[GRANTED][0].mask
    schema = catalogue.projections[mask].schema
    member = _field(schema, "household")["type"]["items"]
    assert member["name"] == f"Member_{mask.digest}"
    assert _field(member, "kin")["type"]["name"] == f"Category_{mask.digest}"
    fastavro.parse_schema(json.loads(json.dumps(schema)), named_schemas={})


def test_a_second_reference_stays_a_reference(schemas: Schemas) -> None:
    file = "events/az.zefer.veteran.VeteranStatusGranted.avsc"
    schemas.replace(file, '"name": "kin", "type": "string"', '"name": "kin", "type": "Category"')
    schemas.replace(MOD, "effective_from]", "household]")
    catalogue = schemas.load()
    mask = catalogue.entitlements[GRANTED][0].mask
    member = _field(catalogue.projections[mask].schema, "household")["type"]["items"]
    assert _field(member, "kin")["type"] == f"az.zefer.veteran.Category_{mask.digest}"


def test_no_projection_without_an_entitlement(schemas: Schemas) -> None:
    schemas.replace(AGENCIES, "assumed: true", "note: nothing")
    catalogue = schemas.load()
    assert set(catalogue.projections) == {e.mask for of in catalogue.entitlements.values() for e in of}


@given(st.data())
def test_any_possible_mask_gives_a_schema_that_holds_just_its_fields(data: st.DataObject) -> None:
    of = data.draw(st.sampled_from(TYPES))
    mask = data.draw(_masks(of))
    schema = json.loads(json.dumps(project(of, mask).schema))
    assert [f["name"] for f in schema["fields"]] == [
        f["name"] for f in of.schema["fields"] if f["name"] in mask.clear | mask.masked
    ]
    named: dict[str, Any] = {}
    fastavro.parse_schema(json.loads(json.dumps(of.schema)), named_schemas=named)
    fastavro.parse_schema(schema, named_schemas=named)
    resolve(json.loads(json.dumps(project(of, mask).schema)))


@given(st.data())
def test_masks_have_one_digest_each(data: st.DataObject) -> None:
    of = data.draw(st.sampled_from(TYPES))
    one, other = data.draw(_masks(of)), data.draw(_masks(of))
    assert (one == other) == (one.digest == other.digest)


def test_shipped_projections_show_no_field_that_was_not_listed(shipped: Catalogue) -> None:
    for mask, projection in shipped.projections.items():
        shown = {field["name"] for field in projection.schema["fields"]}
        assert shown == mask.clear | mask.masked
        assert {f["name"] for f in projection.schema["fields"] if f.get("masked")} == mask.masked


def _masks(of: EventType) -> st.SearchStrategy[Mask]:
    seen = looks(of.schema)
    maskable = [name for name, one in seen.items() if one.nullable or one.base == "string"]
    masked = st.sets(st.sampled_from(maskable))
    return st.builds(
        lambda clear, hidden: Mask(of.name, frozenset(clear) - hidden, frozenset(hidden)),
        st.sets(st.sampled_from(list(seen)), min_size=1),
        masked,
    )


def _field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return next(field for field in schema["fields"] if field["name"] == name)
