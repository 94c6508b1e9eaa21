"""Bodies filled from their schemas: every field gets a value that its type and constraints allow.

What a story knows better it gives; the rest comes from here, so that a type added to the catalogue is simulated
without a line of code. Values are raw: dates in days, timestamps in milliseconds since 1970, decimals as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from hub.catalogue import Catalogue, EventType
from hub.simulate.pattern import text_maker
from hub.simulate.people import Person, Population
from hub.simulate.words import ANY_TEXT, MAP_KEYS, TEXTS

DAY_MS = 86_400_000
NULL_SHARE = 0.25
AHEAD = ("until", "ends", "due", "to")


class Scene(NamedTuple):
    """What one body is filled from: whom it is about, when it is (`now`, milliseconds since 1970), who speaks."""

    rng: Random
    person: Person
    population: Population
    now: int
    agency: str
    mark: str

    @property
    def today(self) -> int:
        return self.now // DAY_MS


Fill = Callable[[Scene], Any]


class Filler:
    """Fills bodies of one event type."""

    def __init__(self, of: EventType, catalogue: Catalogue) -> None:
        lists = {"agencies": catalogue.agencies, "services": catalogue.services, "districts": catalogue.districts}
        maker = _Maker({name: tuple(codes) for name, codes in lists.items()})
        self._fields = {field["name"]: maker.of(field["type"], field) for field in of.schema["fields"]}
        self._order = [(rule.left, rule.operator, rule.right) for rule in of.rules if rule.operator in ("<", "<=")]
        self._speaks = [rule.left for rule in of.rules if rule.operator == "is"]
        self._provides = [(rule.left, rule.right) for rule in of.rules if rule.operator == "provides"]
        self._providers = {service.code: service.providers for service in catalogue.services.values()}
        self._instants = {f["name"] for f in of.schema["fields"] if "timestamp" in str(f["type"])}

    def fill(self, scene: Scene, given: Mapping[str, Any]) -> dict[str, Any]:
        """A whole body; of `given` the fields that the type has."""
        body = {name: given[name] if name in given else fill(scene) for name, fill in self._fields.items()}
        for name in self._speaks:
            body[name] = scene.agency
        for provider, service in self._provides:
            self._let_provide(body, provider, service, scene.rng)
        for left, sign, right in self._order:
            self._put_in_order(body, left, sign, right, scene.rng)
        return body

    def _let_provide(self, body: dict[str, Any], provider: str, service: str, rng: Random) -> None:
        """A provider that speaks for itself keeps its name and gets a service of its own; else the service stays."""
        if body[provider] in self._providers.get(body[service], ()):
            return
        own = [code for code, providers in self._providers.items() if body[provider] in providers]
        if provider in self._speaks and own:
            body[service] = rng.choice(own)
        elif self._providers.get(body[service]):
            body[provider] = rng.choice(self._providers[body[service]])

    def _put_in_order(self, body: dict[str, Any], left: str, sign: str, right: str, rng: Random) -> None:
        low, high = body[left], body[right]
        if low is None or high is None or low < high or (sign == "<=" and low == high):
            return
        body[right] = low + rng.randint(10, 400) * (DAY_MS if right in self._instants else 1)


class _Maker:
    """Makes the filling function of a type; named types are remembered for where they are referred to."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self._lists = lists
        self._named: dict[str, Any] = {}

    def of(self, avro: Any, field: Mapping[str, Any], many: bool = False) -> Fill:
        if isinstance(avro, list):
            return self._union(avro, field, many)
        if isinstance(avro, str):
            known = self._named.get(avro.rpartition(".")[2])
            return self.of(known, field, many) if known else self._primitive(avro, {}, field, many)
        if "name" in avro:
            self._named[avro["name"]] = avro
        match avro["type"]:
            case "record":
                return self._record(avro, many)
            case "enum":
                return _choice(avro["symbols"])
            case "fixed":
                return lambda scene: scene.rng.randbytes(avro["size"])
            case "array":
                item = self.of(avro["items"], field, True)
                return lambda scene: [item(scene) for _ in range(scene.rng.randint(0, 3))]
            case "map":
                value = self.of(avro["values"], field, True)
                return lambda scene: {key: value(scene) for key in scene.rng.sample(MAP_KEYS, 2)}
        return self._primitive(avro["type"], avro, field, many)

    def _union(self, branches: Sequence[Any], field: Mapping[str, Any], many: bool) -> Fill:
        makers = [self.of(branch, field, many) for branch in branches if branch != "null"]
        if "null" not in branches:
            return lambda scene: scene.rng.choice(makers)(scene)
        return lambda scene: None if scene.rng.random() < NULL_SHARE else scene.rng.choice(makers)(scene)

    def _record(self, avro: Mapping[str, Any], many: bool) -> Fill:
        fields = [(field["name"], self.of(field["type"], field, many)) for field in avro["fields"]]
        return lambda scene: {name: fill(scene) for name, fill in fields}

    def _primitive(self, kind: str, avro: Mapping[str, Any], field: Mapping[str, Any], many: bool) -> Fill:
        logical = avro.get("logicalType", "")
        if logical == "date":
            return _date(field["name"])
        if logical.startswith("timestamp"):
            return lambda scene: scene.now - scene.rng.randint(0, 3_600_000)
        if logical == "decimal":
            largest = min(10 ** avro["precision"] - 1, 5_000_000)
            return lambda scene: _two_complement(scene.rng.randint(0, largest))
        if kind == "string":
            return self._text(field, many)
        return _number(kind, field)

    def _text(self, field: Mapping[str, Any], many: bool) -> Fill:
        name = field["name"]
        if "catalogue" in field:
            return _code(name, field["catalogue"], self._lists[field["catalogue"]])
        if field.get("classification") == "identifier":
            return _other_fin if many else lambda scene: scene.person.fin
        if name in ("surname", "name", "patronymic") and not many:
            return lambda scene: getattr(scene.person, name)
        if "pattern" in field:
            made = text_maker(field["pattern"])
            return lambda scene: made(scene.rng)
        longest = field.get("maxLength", 1000)
        if "number" in name:
            return lambda scene: f"{scene.mark}/{scene.rng.randint(1, 99)}"[:longest]
        texts = [text[:longest] for text in TEXTS.get(name, ANY_TEXT)]
        return _choice(texts)


def _choice(values: Sequence[Any]) -> Fill:
    return lambda scene: scene.rng.choice(values)


def _code(name: str, listed: str, codes: Sequence[str]) -> Fill:
    """A code of the catalogue: a district is mostly the person's own, an agency the one that speaks."""
    if listed == "districts":
        return lambda scene: scene.person.district
    if listed == "agencies" and name != "recipient":
        return lambda scene: scene.agency
    return _choice(codes)


def _date(name: str) -> Fill:
    if name == "birth_date":
        return lambda scene: scene.person.birth_date
    if any(part in AHEAD for part in name.split("_")):
        return lambda scene: scene.today + scene.rng.randint(10, 1500)
    return lambda scene: scene.today - scene.rng.randint(0, 400)


def _number(kind: str, field: Mapping[str, Any]) -> Fill:
    low = field.get("minimum", 0)
    high = field.get("maximum", low + 120)
    match kind:
        case "int" | "long":
            return lambda scene: scene.rng.randint(low, high)
        case "float" | "double":
            return lambda scene: low + round((high - low) * scene.rng.random() * 8) / 8
        case "boolean":
            return lambda scene: scene.rng.random() < 0.5
        case "bytes":
            return lambda scene: scene.rng.randbytes(scene.rng.randint(8, 64))
    return lambda scene: None


def _other_fin(scene: Scene) -> str:
    return scene.population[scene.rng.randrange(scene.population.size)].fin


def _two_complement(number: int) -> bytes:
    """Unscaled decimal, big-endian, in the fewest bytes."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
