"""What the registry calls compatible is what a reader can decode: fastavro's, with both schemas; no more, no less."""

from __future__ import annotations

import io
import json
import warnings
from random import Random
from typing import Any

import avro.schema
import fastavro
from fastavro.validation import validate
from laws.registry.changes import Changer, Maker, by_name, data

from hub.registry.compatibility import differences

CHANGES = 1000
"""Some hundreds do not meet a type that fits in one union and not where it stands alone."""


def parsed(schema: Any) -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return avro.schema.parse(json.dumps(by_name(schema)))


def unread(writer: Any, reader: Any) -> list[str] | None:
    """Why fastavro reads no data of `writer` as `reader`, by reading them; empty: all could; `None`: it cannot tell."""
    written, read = (fastavro.parse_schema(by_name(each), {}) for each in (writer, reader))
    failed = []
    for value in data(writer):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, written, value)
        buffer.seek(0)
        try:
            found = fastavro.schemaless_reader(buffer, written, read)
            if not validate(found, read, raise_errors=False):
                failed.append("read as something else")
        except TypeError:
            return None  # it stumbles over an enum that stands by name in the reader's union
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}"[:200])
    return failed


def test_compatible_is_what_can_be_decoded() -> None:
    outcomes: dict[bool, int] = {True: 0, False: 0}
    disagreements, untold = [], 0
    for seed in range(CHANGES):
        maker = Maker(Random(seed))
        old = maker.record()
        new = Changer(maker).change(old)
        for reader, writer in ((new, old), (old, new)):
            wrong = differences(parsed(reader), parsed(writer))
            failed = unread(writer, reader)
            if failed is None:
                untold += 1
                continue
            outcomes[not wrong] += 1
            if bool(wrong) != bool(failed):
                disagreements.append(
                    (seed, wrong, failed[:2], json.dumps(by_name(writer)), json.dumps(by_name(reader)))
                )
            assert all(each.path.startswith("/") for each in wrong)
    assert not disagreements, f"{len(disagreements)}: {disagreements[:3]}"
    assert min(outcomes.values()) > CHANGES // 4 and untold < CHANGES // 10, (outcomes, untold)


def test_every_refusal_names_a_place_in_the_readers_schema() -> None:
    for seed in range(CHANGES):
        maker = Maker(Random(seed))
        old = maker.record()
        new = Changer(maker).change(old)
        for each in differences(parsed(new), parsed(old)):
            place: Any = new
            for step in each.path.split("/")[1:]:
                if step and not (step in ("name", "size", "symbols", "aliases") or isinstance(place, str)):
                    place = place[int(step) if isinstance(place, list) else step]
