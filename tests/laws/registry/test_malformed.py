"""Whatever somebody sends as a schema, the registry registers it or says what is wrong; it never breaks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from world import catalogue

from hub.registry import change
from hub.registry.ask import Draft
from hub.registry.entry import Entry
from hub.registry.refusals import Refused
from hub.registry.schemas import Schemas

TRIES = 400
SUBJECTS = ("any", "az.zefer.veteran.VeteranStatusGranted")
JUNK: tuple[Any, ...] = (
    *(None, 5, -1, 1e400, True, "", [], {}, "int", "x y", ["int"], {"type": "int"}, [[]], {"type": "record"}, "null"),
    *(
        ["null", "null"],
        {"type": "fixed", "name": "f", "size": 0},
        "\ud800",
        {"type": "enum", "name": "e", "symbols": [1]},
    ),
)


def places(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


def spoiled(schema: Any, rng: Random) -> Any:
    schema = copy.deepcopy(schema)
    for _ in range(rng.randint(1, 3)):
        *way, last = rng.choice([place for place in places(schema) if place] or [("type",)])
        node = schema
        for step in way:
            node = node[step]
        if rng.random() < 0.3:
            del node[last]
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return schema


def test_a_spoiled_schema_is_registered_or_refused() -> None:
    rng, texts = Random(1), [json.loads(text) for _, text in catalogue().schemas()]
    codes = set()
    for _ in range(TRIES):
        subject, known = rng.choice(SUBJECTS), Schemas()
        known.add(Entry(subject, 1, 1, json.dumps(rng.choice(texts))))
        draft = Draft(json.dumps(spoiled(rng.choice(texts), rng)), normalize=rng.random() < 0.5)
        try:
            change.register(known, subject, draft)
        except Refused as refused:
            codes.add(refused.code)
    assert codes == {409, 42201}
