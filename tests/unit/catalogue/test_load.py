"""What a sound folder becomes."""

from __future__ import annotations

import pytest

from hub.catalogue import Mask, Name, Rule, StatusRule
from tests.unit.catalogue.folder import AGENCIES, MOD, Schemas

GRANTED = "az.zefer.veteran.VeteranStatusGranted"
REQUESTED = "az.zefer.service.ServiceRequested"


def test_an_event_type_is_read_whole(schemas: Schemas) -> None:
    of = schemas.load().types[GRANTED]
    assert (of.name, of.stream, of.owner, of.retention) == (GRANTED, "veteran", "zefer", "P75Y")
    assert (of.key_kind, of.key_field) == ("person", "fin")
    assert of.rules == (Rule("effective_from", "<", "valid_until"),)
    assert of.identifiers == (("fin",), ("household", "*", "member_fin"))
    assert of.status == StatusRule(
        kind="veteran",
        slot="category",
        transition="set",
        effective="effective_from",
        until="valid_until",
        document="document_number",
        voids=None,
        carries=("category", "percent"),
    )


def test_a_case_type_has_no_status(schemas: Schemas) -> None:
    of = schemas.load().types[REQUESTED]
    assert (of.key_kind, of.key_field, of.status, of.rules, of.identifiers) == (
        "case",
        "case_number",
        None,
        (),
        (),
    )


def test_agencies_and_lists(schemas: Schemas) -> None:
    catalogue = schemas.load()
    assert list(catalogue.agencies) == ["mod", "zefer"]
    assert catalogue.agencies["mod"].name == Name("Müdafiə Nazirliyi", "Ministry of Defence")
    assert catalogue.agencies["mod"].assumed
    assert catalogue.services["record"].providers == ("mod",)
    assert catalogue.bases["law"].assumed
    assert list(catalogue.streams) == ["service", "veteran"]
    assert list(catalogue.districts) == ["baki", "gence"]


def test_self_becomes_the_agency_and_one_value_a_set(schemas: Schemas) -> None:
    (entitlement,) = schemas.load().entitlements[REQUESTED]
    assert entitlement.when == {"provider": {"mod"}, "district": {"baki", "gence"}}
    assert entitlement.mask == Mask(REQUESTED, frozenset({"case_number", "provider", "service"}), frozenset())


def test_a_type_that_nobody_receives_has_no_entitlements(schemas: Schemas) -> None:
    schemas.write(MOD, "receives: {}\n")
    catalogue = schemas.load()
    assert catalogue.entitlements == {GRANTED: (), REQUESTED: ()}
    assert catalogue.projections == {}


def test_publishing_is_denied_by_default(schemas: Schemas) -> None:
    catalogue = schemas.load()
    assert catalogue.may_publish("zefer", GRANTED)
    assert not catalogue.may_publish("mod", GRANTED)
    assert not catalogue.may_publish("zefer", "az.zefer.veteran.Unknown")


def test_what_is_assumed_of_an_entitlement_is_kept(schemas: Schemas) -> None:
    schemas.write(MOD, "assumed: true\n" + schemas.text(MOD))
    assert all(e.assumed for of in schemas.load().entitlements.values() for e in of)


@pytest.mark.parametrize("file", [AGENCIES, MOD])
def test_the_fingerprint_is_of_every_byte(schemas: Schemas, file: str) -> None:
    before = schemas.load().fingerprint
    assert schemas.load().fingerprint == before
    schemas.write(file, schemas.text(file) + "# a remark\n")
    assert schemas.load().fingerprint != before


def test_entitlements_can_be_told_apart_by_hash(schemas: Schemas) -> None:
    entitlements = [e for of in schemas.load().entitlements.values() for e in of]
    assert len(set(entitlements)) == 2
