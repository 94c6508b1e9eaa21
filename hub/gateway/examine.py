"""What comes over HTTP is looked at by the gate's own steps, so that gateway and gate never disagree.

A CloudEvent in JSON becomes the record that it will be in `in.<agency>`; the gate's passages and steps judge that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hub.avro.codec import HEADER, encode, from_json
from hub.avro.invalid import Invalid
from hub.avro.json_writer import Unusual, compile_json_writer
from hub.avro.packed import pack_headers
from hub.avro.records import wire_header
from hub.catalogue import EventType
from hub.errors import Code
from hub.event import EVENT_ID, Rejection
from hub.gateway.envelope import Headers, headers_of
from hub.gateway.wording import at_the_door
from hub.kafka.appending import Line
from hub.pipeline.attributes import said
from hub.pipeline.gate import STEPS
from hub.pipeline.identify import Contents, Pseudonyms, agency_secret, identity, pseudonym
from hub.pipeline.inbound import Inbound
from hub.pipeline.passage import Passages
from hub.pipeline.rulebook import Rulebook

BEFORE_DECODE = STEPS[:3]
"""measure, unwrap, authorise: what is judged before the body is read."""
FIN, FIN_LENGTH = re.compile(r"[0-9A-Z]{7}"), 7
LOOKED_THROUGH = 10_000
"""Of the values of an event that is refused; no event that is right has as many."""


class Incoming(NamedTuple):
    """The record as it will be; its place and time are not known yet."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


class Examined(NamedTuple):
    """An event that the gate will let through. `identity` and `content` as the ledger has them."""

    id: str
    of: EventType
    line: Line
    identity: bytes
    content: bytes


class Refusal(NamedTuple):
    """An event that the gate would refuse, said in the words of its JSON; `id` where it may be repeated."""

    id: str | None
    type: str | None
    rejection: Rejection


class Examiner:
    """By one rulebook. Not for use by several threads."""

    def __init__(self, rules: Rulebook) -> None:
        self._rules, self._passages = rules, Passages(rules)
        self._person_id = Pseudonyms(rules.secret).person_id
        self._secrets = {agency: agency_secret(rules.secret, agency) for agency in rules.catalogue.agencies}
        current = {wire_header(id): reader for id, reader in rules.gate_readers.items() if not reader.older}
        self._headers = {reader.type.name: header for header, reader in current.items()}
        self._writers = {r.type.name: compile_json_writer(r.type.schema, h, r.wants) for h, r in current.items()}

    def examine(self, agency: str, event: Any) -> Examined | Refusal:
        """One event of that agency, as it was parsed."""
        if not isinstance(event, dict):
            return Refusal(None, None, Rejection(Code.HEADER_INVALID, "unwrap", "expected a JSON object"))
        named = headers_of(event)
        if isinstance(named, Rejection):
            return self._refused(event, named)
        topic = f"in.{agency}"
        encoded, read = self._encoded(event)
        if isinstance(encoded, bytes):
            found = self._passages.judge(topic, encoded, named, read)
            if found is not None:
                passage, key = found
                return self._examined(agency, passage.of, passage.content, key, encoded, named, passage.inbound)
        return self._slowly(agency, event, encoded, named)

    def _slowly(self, agency: str, event: Any, encoded: bytes | Rejection, named: Headers) -> Examined | Refusal:
        """Step by step, in the gate's order: what it says of the attributes comes before what is wrong in the data."""
        value, steps = (encoded, STEPS) if isinstance(encoded, bytes) else (self._header(event), BEFORE_DECODE)
        inbound = Inbound(Incoming(f"in.{agency}", None, value, list(named.items())), agency)
        for step in steps:
            rejection = step(inbound, self._rules)
            if rejection is not None:
                return self._refused(event, at_the_door(rejection, event.get("data")))
        if isinstance(encoded, Rejection):
            return self._refused(event, encoded)
        reader, fields = inbound.reader, inbound.fields
        assert reader is not None and fields is not None
        subject = fields[reader.type.key_field].encode()
        key = self._person_id(subject) if reader.type.key_kind == "person" else subject
        contents = Contents(reader.type.name)
        return self._examined(agency, reader.type, contents, key, encoded, named, _all_of_them)

    def _examined(
        self,
        agency: str,
        of: EventType,
        contents: Contents,
        key: bytes,
        value: bytes,
        named: Headers,
        packed: Callable[[Headers], bytes],
    ) -> Examined:
        """The key on `in.<agency>` is that agency's pseudonym: nothing that the hub writes is keyed by a FİN."""
        told = said(named)
        own = pseudonym(key, self._secrets[agency])
        digest = identity(named["ce_source"], told.id, key)
        meaning = contents(told.time, told.sequence, value[HEADER:])
        return Examined(told.id.decode(), of, (own, value, packed(named)), digest, meaning)

    def _encoded(self, event: Mapping[str, Any]) -> tuple[bytes | Rejection, Sequence[Any] | None]:
        """The Avro value, and what the gate wants of it where that is known already. For a type that is not known it
        has no body: the steps say so before they read one."""
        of = self._rules.catalogue.types.get(event["type"]) if isinstance(event["type"], str) else None
        if of is None:
            return self._header(event), None
        data: Any = event.get("data")
        try:
            return self._writers[of.name](data)
        except Unusual:
            pass
        try:
            return encode(of.schema, from_json(of.schema, data), self._headers[of.name]), None
        except Invalid as error:
            detail = f"expected {error.expected}, found {error.found}"
            return Rejection(error.code, "decode", detail, f"/data{error.pointer}"), None

    def _header(self, event: Mapping[str, Any]) -> bytes:
        """The wire header of the event's type; of any other one where there is no such type."""
        return self._headers.get(str(event["type"])) or next(iter(self._headers.values()))

    def _refused(self, event: Mapping[str, Any], rejection: Rejection) -> Refusal:
        id, kind = event.get("id"), event.get("type")
        nameable = isinstance(id, str) and EVENT_ID.fullmatch(id) and not _exposes(event.get("data"), id.upper())
        known = kind if isinstance(kind, str) and kind in self._rules.catalogue.types else None
        return Refusal(id if nameable else None, known, rejection)


def _all_of_them(named: Headers) -> bytes:
    return pack_headers(list(named.items()))


def _exposes(data: Any, id: str) -> bool:
    """Whether anything in the data that is shaped as a FİN stands in the id, or there is too much to tell: then the id
    is not repeated."""
    left, looked = [data], 0
    while left:
        value = left.pop()
        if isinstance(value, str):
            if len(value) <= FIN_LENGTH and FIN.fullmatch(value.upper()) and value.upper() in id:
                return True
            continue
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        looked += len(values)
        if looked > LOOKED_THROUGH:
            return True
        left += values
    return False
