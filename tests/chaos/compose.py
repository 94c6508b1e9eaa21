"""Makes the events of a run from a seed: valid ones of every type, and a few that must be refused.

Every personal text is a canary of its own, `cy<event>x<number>q`. Each event says in `ce_causationid` what its
forerunner of the same person, source and stream was: a digest of its id and bytes.
"""

from __future__ import annotations

import random
import re
import string
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

from chaos.catalogue import Catalogue, Type

FIRST_MS = 1_790_000_000_000
FIRST_DAY, DAYS = 20_000, 60
"""Decisions take effect within these two months: early enough to overlap and to tie."""

RESENT, POISONED, CONFLICTING = 0.1, 0.015, 0.005
FEW = 6
"""A light load is of types with so many receivers at most."""

CANARY = re.compile(rb"cy\d+x\d+q")
PARTS = re.compile(r"(\[[^\]]+\]|\\?.)(?:\{(\d+)(?:,(\d+))?\})?")
LETTERS = string.ascii_uppercase + string.digits + "/-+."


@dataclass(frozen=True)
class Send:
    """One record to send to `in.<agency>`, `at` seconds after the start. `expect`: applied or rejected."""

    at: float
    agency: str
    key: str
    id: str
    type: str
    time: int
    sequence: int | None
    chain: str
    value: bytes
    expect: str

    def headers(self) -> list[tuple[str, bytes]]:
        when = datetime.fromtimestamp(self.time / 1000, UTC).isoformat(timespec="milliseconds")
        found = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"urn:az:agency:{self.agency}",
            "type": self.type,
            "time": when,
        }
        if self.sequence is not None:
            found["sequence"] = str(self.sequence)
        if self.chain:
            found["causationid"] = self.chain
        return [(f"ce_{name}", text.encode()) for name, text in found.items()] + [("content-type", b"application/avro")]


def link(id: str, value: bytes) -> str:
    """What a follower says of this event."""
    return blake2b(id.encode() + value, digest_size=16).hexdigest()


class Composer:
    """`run`, two digits, sets persons and ids of this run apart from those of others on the same broker."""

    def __init__(
        self,
        catalogue: Catalogue,
        ids: Mapping[str, int],
        seed: int,
        run: str,
        poisoned: float = POISONED,
        light: bool = False,
    ) -> None:
        self._catalogue, self._ids, self._run, self._poisoned = catalogue, ids, run, poisoned
        self._rng = random.Random(f"{seed}/{run}")
        types = [of for of in catalogue.types.values() if not light or len(of.entitlements) <= FEW]
        self._drawn = [of for of in types for _ in range(3 if "status" in of.schema else 1)]
        self._last: dict[tuple[str, str, str], tuple[int, str]] = {}
        self._documents: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._count = 0

    def compose(self, rate: float, seconds: float) -> Iterator[Send]:
        """Open-loop: `rate` a second whatever comes back."""
        rng, recent, total = self._rng, deque(maxlen=200), int(rate * seconds)
        persons = max(20, total // 25)
        for index in range(total):
            draw, at = rng.random(), index / rate
            if draw < RESENT and recent:
                yield replace(rng.choice(recent), at=at)
            elif draw < RESENT + CONFLICTING and recent:
                yield self._conflict(rng.choice(recent), at)
            elif draw < RESENT + CONFLICTING + self._poisoned:
                yield self._poison(self._good(at, persons, False))
            else:
                recent.append(self._good(at, persons, True))
                yield recent[-1]

    def _good(self, at: float, persons: int, counts: bool) -> Send:
        rng = self._rng
        of = rng.choice(self._drawn)
        agency, number = rng.choice(of.publishers), rng.randrange(persons)
        if rng.random() < 0.3:
            number //= 10  # some persons are busier than others
        subject = f"W{self._run}{number:04d}" if of.of_person else f"C-{self._run}-{number:04d}"
        key = f"{'p' if of.of_person else 'c'}{number}"
        self._count += 1
        value = self._value(of, agency, subject)
        id, time = f"w{self._run}-{self._count:07d}", FIRST_MS + self._count // 4 * 1000
        sequence, chain = self._chained((subject, agency, of.stream), id, value) if counts else (None, "")
        return Send(at, agency, key, id, of.name, time, sequence, chain, value, "applied")

    def _chained(self, chain: tuple[str, str, str], id: str, value: bytes) -> tuple[int, str]:
        sequence, before = self._last.get(chain, (0, ""))
        self._last[chain] = sequence + 1, link(id, value)
        return sequence + 1, before

    def _conflict(self, send: Send, at: float) -> Send:
        """Another content under an id that was sent before."""
        of = self._catalogue.types[send.type]
        self._count += 1
        value = self._value(of, send.agency, of.codec.decode(send.value)[of.key_field])
        return replace(send, at=at, value=value, expect="rejected")

    def _poison(self, send: Send) -> Send:
        """Cut off, with a byte too many, noise, nothing, of an unknown schema, or from one who may not publish it."""
        rng, send = self._rng, replace(send, expect="rejected")
        match rng.randrange(7):
            case 0:
                return replace(send, value=send.value[:-1])
            case 1:
                return replace(send, value=send.value + b"\0")
            case 2:
                return replace(send, value=b"\0\x7f\xff\xff\xff" + send.value[5:])
            case 3:
                return replace(send, value=b"\1" + rng.randbytes(rng.randrange(1, 400)))
            case 4:
                return replace(send, value=send.value[:5] + b"\xff" * rng.randrange(1, 400))
            case 5:
                return replace(send, value=b"")
        publishers = self._catalogue.types[send.type].publishers
        return replace(send, agency=next(a for a in self._catalogue.agencies if a not in publishers))

    def _value(self, of: Type, agency: str, subject: str) -> bytes:
        filler = Filler(self._catalogue, self._rng, f"cy{self._count}x")
        fields = filler.record(of.schema) | {of.key_field: subject}
        self._decide(of, subject, fields)
        filler.obey(of.schema.get("rules", ()), fields, agency)
        return b"\0" + self._ids[of.name].to_bytes(4, "big") + of.codec.encode(fields)

    def _decide(self, of: Type, subject: str, fields: dict[str, Any]) -> None:
        """What makes statuses interesting: few slots, days close together, decisions that void earlier ones."""
        rule, rng = of.schema.get("status"), self._rng
        if rule is None:
            return
        fields[rule["effective"]] = FIRST_DAY + rng.randrange(DAYS)
        if "until" in rule:
            fields[rule["until"]] = rng.choice([None, fields[rule["effective"]] + rng.randrange(1, DAYS)])
        if rule.get("slot") in ("martyr_case", "contract_number"):
            fields[rule["slot"]] = f"S-0{rng.randrange(2)}"
        earlier = self._documents[subject, rule["kind"]]
        if "voids" in rule and earlier and rng.random() < 0.5:
            fields[rule["voids"]] = rng.choice(earlier)
        if "document" in rule:
            earlier.append(fields[rule["document"]])


class Filler:
    """Valid values for a schema with the catalogue's constraints; personal texts are canaries."""

    def __init__(self, catalogue: Catalogue, rng: random.Random, canary: str) -> None:
        self._catalogue, self._rng, self._canary, self._canaries = catalogue, rng, canary, 0

    def record(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {field["name"]: self._value(field["type"], field) for field in schema["fields"]}

    def obey(self, rules: Any, fields: dict[str, Any], agency: str) -> None:
        for left, sign, right in rules:
            if sign == "provides":
                fields[left] = self._rng.choice(self._catalogue.providers[fields[right]])
            elif sign == "is":
                fields[left] = agency
            elif None not in (fields[left], fields[right]) and fields[left] >= fields[right]:
                fields[right] = fields[left] + 1
        for left, sign, right in rules:
            if sign == "provides" and fields[left] not in self._catalogue.providers[fields[right]]:
                fields[right] = next(s for s, who in self._catalogue.providers.items() if fields[left] in who)

    def _value(self, avro: Any, field: Mapping[str, Any]) -> Any:
        rng = self._rng
        if isinstance(avro, list):
            branch = rng.choice(avro)
            return None if branch == "null" else self._value(branch, field)
        if isinstance(avro, str):
            return self._scalar(avro, field)
        match avro["type"]:
            case "record":
                return self.record(avro)
            case "enum":
                return rng.choice(avro["symbols"])
            case "array":
                return [self._value(avro["items"], field) for _ in range(rng.randrange(3))]
            case "map":
                return {f"k{n}": self._value(avro["values"], field) for n in range(rng.randrange(3))}
            case "fixed":
                return rng.randbytes(avro["size"])
        return self._scalar(avro.get("logicalType", avro["type"]), field)

    def _scalar(self, kind: str, field: Mapping[str, Any]) -> Any:
        rng = self._rng
        low, high = int(field.get("minimum", 1)), int(field.get("maximum", 1000))
        match kind:
            case "string":
                return self._string(field)
            case "boolean":
                return rng.random() < 0.5
            case "date":
                return FIRST_DAY + rng.randrange(DAYS)
            case "timestamp-millis":
                return FIRST_MS + rng.randrange(10**9)
            case "decimal":
                amount = rng.randrange(10**8)
                return amount.to_bytes(amount.bit_length() // 8 + 1, "big")
            case "bytes":
                return rng.randbytes(rng.randrange(8))
            case "float" | "double":
                return float(rng.randrange(low, high + 1))
        return rng.randrange(low, high + 1)

    def _string(self, field: Mapping[str, Any]) -> str:
        if "catalogue" in field:
            return self._rng.choice(self._catalogue.codes[field["catalogue"]])
        if "pattern" in field:
            return self._matching(field["pattern"])
        self._canaries += 1
        return f"{self._canary}{self._canaries}q"

    def _matching(self, pattern: str) -> str:
        found = "".join(
            "".join(self._rng.choices(letters, k=self._rng.randint(least, most)))
            for letters, least, most in _parts(pattern)
        )
        assert re.fullmatch(pattern, found), pattern
        return found


@cache
def _parts(pattern: str) -> list[tuple[str, int, int]]:
    """(letters to choose from, how many at least, at most) of each part of a simple pattern."""
    plain = re.sub(r"\(.*?\)\{.*?\}", "", pattern)  # a group that may be absent is
    return [
        ("".join(c for c in LETTERS if re.fullmatch(letter, c)), int(least or 1), int(most or least or 1))
        for letter, least, most in PARTS.findall(plain)
    ]
