"""Persons, patterns, bodies: the small parts that a plan is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from world import NOW, catalogue

from hub.errors import ConfigError
from hub.simulate.fill import Filler, Scene
from hub.simulate.pattern import text_maker
from hub.simulate.people import Population


def test_no_two_persons_share_a_fin() -> None:
    population = Population(7, 3000, ("baki",))
    people = [population[i] for i in range(3000)]
    relatives = [population.relative(person, nth) for person in people[:500] for nth in range(3)]
    fins = [person.fin for person in (*people, *relatives)]
    assert len(set(fins)) == len(fins)
    assert all(re.fullmatch("[0-9A-Z]{7}", fin) for fin in fins)


def test_a_person_is_the_same_whenever_asked_for() -> None:
    assert Population(7, 10, ("baki",))[3] == Population(7, 99, ("baki",))[3]
    assert Population(7, 10, ("baki",))[3] != Population(8, 10, ("baki",))[3]


def test_a_relative_shares_surname_and_district() -> None:
    population = Population(7, 100, tuple(catalogue().districts))
    for number in range(100):
        person, relative = population[number], population.relative(population[number], 1)
        assert relative.district == person.district
        assert relative.surname.removesuffix("a") == person.surname.removesuffix("a")


def test_a_fin_is_no_hexadecimal_number_and_no_word() -> None:
    """Else it could show by chance in an event's id, a time, or the name of a type."""
    population = Population(1, 2000, ("baki",))
    assert all(re.match("[0-9][G-Z]", population[i].fin) for i in range(2000))


def patterns(node: Any) -> Iterator[str]:
    """Every pattern of a schema."""
    if isinstance(node, dict):
        if "pattern" in node:
            yield node["pattern"]
        for value in node.values():
            yield from patterns(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from patterns(value)


def test_every_pattern_of_the_catalogue_is_matched() -> None:
    found = {pattern for of in catalogue().types.values() for pattern in patterns(of.schema)}
    assert found
    for pattern in found:
        made, rng = text_maker(pattern), Random(1)
        assert all(re.fullmatch(pattern, made(rng)) for _ in range(200)), pattern


@pytest.mark.parametrize("pattern", [r"a|bc", r"(?:x|yz){2}", r"[A-C\-_]+", r"\d{2,}", r"[0-9]?\.x*", "."])
def test_patterns_that_may_come(pattern: str) -> None:
    made, rng = text_maker(pattern), Random(2)
    assert all(re.fullmatch(pattern, made(rng)) for _ in range(200))


@pytest.mark.parametrize("pattern", [r"^a", r"(?=b)b", r"[^a]\b", r"(a", r"a{1", "[]"])
def test_patterns_beyond_it_are_refused_and_not_guessed(pattern: str) -> None:
    with pytest.raises((ConfigError, re.error)):
        text_maker(pattern)


def scene(agency: str) -> Scene:
    population = Population(1, 50, tuple(catalogue().districts))
    return Scene(Random(3), population[0], population, NOW, agency, "mark-1")


def test_a_provider_speaks_for_itself_about_what_it_provides() -> None:
    completed = catalogue().types["az.zefer.service.ServiceCompleted"]
    service = next(s for s in catalogue().services.values() if s.providers)
    filler, provider = Filler(completed, catalogue()), service.providers[0]
    for _ in range(50):
        body = filler.fill(scene(provider), {})
        assert body["provider"] == provider
        assert provider in catalogue().services[body["service"]].providers


def test_what_is_given_stays_and_the_order_of_dates_is_made_right() -> None:
    granted = catalogue().types["az.zefer.veteran.VeteranStatusGranted"]
    given = {"effective_from": 20_000, "valid_until": 19_000, "category": "WAR", "no_such_field": 1}
    body = Filler(granted, catalogue()).fill(scene("mod"), given)
    assert (body["effective_from"], body["category"]) == (20_000, "WAR")
    assert body["valid_until"] > 20_000
    assert "no_such_field" not in body
