"""The witness tested before it is believed: a hub without a fault has no verdict, each fault has its own.

`FakeHub` is a hub of a hundred lines over lists. It is told in what order to carry its records: leaving some out,
carrying some twice or two the other way round makes the histories that the judge must tell apart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from chaos.catalogue import SCHEMAS, Catalogue, Codec, Type
from chaos.compose import CANARY, Composer, Send, link
from chaos.history import History, Sent
from chaos.judge import VERDICTS, Judge, Registry
from chaos.model import Applied, deliveries, late, statuses
from chaos.readout import Rec, Topics

PARTITIONS, EVENTS, SEED = 4, 200, 7
NOW = 1_790_000_000_000


class FakeHub:
    """What a hub writes of the records in `inputs`, carried in the given order; `carry` may be called once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue, self.topics = catalogue, {}
        self._schemas: dict[str, tuple[int, Codec]] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        self._known: dict[tuple[str, str], bytes] = {}
        self._applied: dict[str, list[Applied]] = {}
        for name, of in catalogue.types.items():
            self._register(name, of.schema)
        for path in sorted((SCHEMAS / "hub").glob("*.avsc")):
            self._register(path.stem, json.loads(path.read_text()))
        self.ids = {name: number for name, (number, _) in self._schemas.items()}

    def take(self, sends: Iterable[Send]) -> tuple[History, list[tuple[Rec, Send]]]:
        """Everything acknowledged at once."""
        history, inputs = History(), []
        for number, send in enumerate(sends):
            rec = self.write(f"in.{send.agency}", send.key, send.value, send.headers())
            history.sent.append(Sent(number, send, send.at * 1000, send.at * 1000, rec.at))
            inputs.append((rec, send))
        return history, inputs

    def carry(self, inputs: Iterable[tuple[Rec, Send]], forgetful: frozenset[str] = frozenset()) -> None:
        """`forgetful`: ids that are taken for new each time."""
        for rec, send in inputs:
            of = self.catalogue.types[send.type]
            known = self._known.get((send.agency, send.id))
            if send.expect == "rejected":
                self._refuse(rec, send)
            elif known is not None and send.id not in forgetful:
                self.say(rec, send, "DUPLICATE", event_id=_event_id(send))
            else:
                self._known[send.agency, send.id] = send.value
                self._apply(rec, send, of)

    def write(self, topic: str, key: str, value: bytes, headers: Iterable[tuple[str, bytes]] = ()) -> Rec:
        partition, log = crc32(key.encode()) % PARTITIONS, self.topics.setdefault(topic, [])
        self._counts[topic, partition] += 1
        rec = Rec(topic, partition, self._counts[topic, partition] - 1, NOW, key.encode(), value, tuple(headers))
        log.append(rec)
        return rec

    def say(self, rec: Rec, send: Send, verdict: str, **more: object) -> None:
        """A receipt."""
        names = ("event_id", "step", "code", "detail", "pointer", "version")
        value = dict.fromkeys(names) | {"late": False, "sequence_gap": False, "accepted": NOW, "decided": NOW}
        value |= _origin(rec) | {"id": send.id, "type": send.type, "verdict": verdict} | more
        self.write(f"receipts.{send.agency}", rec.at, self.pack("hub.Receipt", value))

    def letter(self, rec: Rec, send: Send) -> None:
        """A dead letter."""
        value = {
            "value": rec.value,
            "key": None,
            "headers": [],
            "code": "X",
            "step": "x",
            "detail": "",
            "pointer": None,
        }
        value |= _origin(rec) | {"attempts": 1, "first_failure": NOW, "last_failure": NOW, "redrive_of": None}
        self.write(f"dlq.{send.agency}", rec.at, self.pack("hub.DeadLetter", value))

    def pack(self, name: str, value: dict[str, object]) -> bytes:
        number, codec = self._schemas[name]
        return b"\0" + number.to_bytes(4, "big") + codec.encode(value)

    def registry(self) -> Registry:
        entries = [{"subject": name, "id": number, "schema": text} for name, (number, text) in self._texts.items()]
        return Registry(Rec("_schemas", 0, n, NOW, b"{}", json.dumps(e).encode()) for n, e in enumerate(entries))

    def _register(self, name: str, schema: dict[str, object]) -> None:
        number = len(self._schemas) + 1
        self._schemas[name] = number, Codec(schema)
        self.__dict__.setdefault("_texts", {})[name] = number, json.dumps(schema)

    def _refuse(self, rec: Rec, send: Send) -> None:
        self.say(rec, send, "REJECTED", step="x", code="X")
        self.letter(rec, send)

    def _apply(self, rec: Rec, send: Send, of: Type) -> None:
        event = Applied(of, send.agency, send.id, send.time, send.sequence, of.codec.decode(send.value))
        subject = event.fields[of.key_field]
        before, person = self._applied.setdefault(subject, []), _digest(subject)
        tardy = late(event, before)
        before.append(event)
        passed = [*rec.headers, ("hub_origin", rec.at.encode())]
        self.write(f"events.{of.stream}", person if of.of_person else subject, send.value, passed)
        mark = {"event_id": _event_id(send), "version": len(before), "late": tardy}
        self.say(rec, send, "APPLIED", **mark)
        self._offer(send, event, subject, mark)
        if of.of_person:
            status = {"person_id": person, "version": len(before), "statuses": statuses(before)}
            self.write("status.person", person, self.pack("hub.PersonStatus", status))

    def _offer(self, send: Send, event: Applied, subject: str, mark: dict[str, object]) -> None:
        named = dict(send.headers()) | {"ce_originid": send.id.encode(), "ce_id": str(mark["event_id"]).encode()}
        named |= {"ce_statusversion": str(mark["version"]).encode()} | ({"ce_late": b"true"} if mark["late"] else {})
        for agency, fields in deliveries(event.type, event.fields).items():
            view = event.type.name + "View_" + _digest(repr(sorted(fields)))
            if view not in self._schemas:
                kept = [f for f in event.type.schema["fields"] if f["name"] in fields]
                self._register(view, event.type.schema | {"name": view.rpartition(".")[2], "fields": kept})
            self.write(f"out.{agency}", _digest(agency + subject), self.pack(view, fields), named.items())


@dataclass(frozen=True)
class Case:
    """A history, and the verdict that it must get (None: none at all)."""

    name: str
    verdict: str | None
    run: Callable[[Stand], Judge]


class Stand:
    """One set of sends; each case carries them anew, otherwise."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.sends = list(Composer(catalogue, FakeHub(catalogue).ids, SEED, "00").compose(100, EVENTS / 100))

    def judge(
        self,
        order: Callable[[list[int]], list[int]] = list,
        spoil: Callable[[FakeHub, list[tuple[Rec, Send]]], None] = lambda hub, inputs: None,
        forgetful: Iterable[int] = (),
        unseen: int = 0,
        again: tuple[int, int] | None = None,
    ) -> Judge:
        """`again`: nobody knew of the first of the two whether it had arrived, and it was taken after the second."""
        hub, sends = FakeHub(self.catalogue), list(self.sends)
        if again:
            sends[again[0]], sends[again[1]] = sends[again[1]], sends[again[0]]
        history, inputs = hub.take(sends)
        if again:
            history.sent[again[1]].unsure = True
        carried = [inputs[i] for i in order(list(range(len(inputs))))]
        hub.carry(carried, frozenset(self.sends[i].id for i in forgetful))
        spoil(hub, inputs)
        seen = set(sorted(history.acknowledged)[unseen:])
        return Judge(self.catalogue, hub.registry(), history, _sorted(hub.topics), seen)

    def pair(self, same: bool) -> tuple[int, int]:
        """Two good sends next to each other in their chain; or, not `same`, of two persons with nothing between."""
        good = [i for i, send in enumerate(self.sends) if send.expect == "applied" and send.sequence]
        if not same:
            return next((a, b) for a, b in zip(good, good[1:]) if b == a + 1 and self.sends[a].key != self.sends[b].key)
        first = {link(self.sends[i].id, self.sends[i].value): i for i in reversed(good)}
        return next((first[self.sends[b].chain], b) for b in good if self.sends[b].chain and first[self._link(b)] == b)

    def _link(self, index: int) -> str:
        return link(self.sends[index].id, self.sends[index].value)

    def once(self) -> list[int]:
        """Good sends that have no resend."""
        ids = [send.id for send in self.sends]
        return [i for i, send in enumerate(self.sends) if send.sequence and ids.count(send.id) == 1]


def _swapped(a: int, b: int) -> Callable[[list[int]], list[int]]:
    def swap(order: list[int]) -> list[int]:
        order[a], order[b] = order[b], order[a]
        return order

    return swap


def _edit(topic: str, change: Callable[[Rec], Rec | None]) -> Callable[[FakeHub, object], None]:
    """Change a record in the middle of the topic; None takes it away."""

    def spoil(hub: FakeHub, inputs: object) -> None:
        log = hub.topics[topic]
        telling = [i for i, rec in enumerate(log) if CANARY.search(rec.value or b"")] or range(len(log))
        at = telling[len(telling) // 2]
        log[at : at + 1] = [changed] if (changed := change(log[at])) else []

    return spoil


def _flip(rec: Rec) -> Rec:
    """One letter of a text is another."""
    value = bytearray(rec.value or b"")
    value[CANARY.search(value).end() - 1] = ord("z")
    return rec._replace(value=bytes(value))


def _shown(hub: FakeHub, inputs: list[tuple[Rec, Send]]) -> None:
    """The whole event to one who may see a part of it."""
    originals = {(send.agency, send.id): send.value for _, send in inputs if send.expect == "applied"}
    for log in (log for name, log in hub.topics.items() if name.startswith("out.")):
        rec = log[0]
        event = rec.named["ce_source"].rpartition(":")[2], rec.named["ce_originid"]
        if len(originals[event]) > len(rec.value or b""):
            log[0] = rec._replace(value=originals[event])
            return


def _stranger(hub: FakeHub, inputs: object) -> None:
    rec = hub.topics["out.stat"][0]
    headers = [(name, b"never-sent" if name == "ce_originid" else value) for name, value in rec.headers]
    hub.write("out.stat", "nobody", rec.value or b"", headers)


def _elsewhere(hub: FakeHub, inputs: object) -> None:
    """A delivery to an agency that is entitled to nothing of the type."""
    rec = hub.topics["out.stat"][0]
    hub.write("out.proaktiv2", "somebody", rec.value or b"", rec.headers)


def _two_ways(hub: FakeHub, inputs: list[tuple[Rec, Send]]) -> None:
    hub.letter(*next(pair for pair in inputs if pair[1].expect == "applied"))


def _ghost(hub: FakeHub, inputs: list[tuple[Rec, Send]]) -> None:
    rec, send = inputs[0]
    hub.say(rec._replace(offset=10**6), send, "APPLIED", event_id="e", version=1)


def _older(hub: FakeHub, inputs: object) -> None:
    """The last status of a person is the one before."""
    log = hub.topics["status.person"]
    last = next(i for i in range(len(log) - 1, 0, -1) if any(log[j].key == log[i].key for j in range(i)))
    del log[last]


def cases(catalogue: Catalogue) -> list[Case]:
    stand = Stand(catalogue)
    single = stand.once()
    middle = stand.pair(same=True)[0]
    again = stand.once()[len(single) // 2]
    return [
        Case("nothing wrong", None, lambda s: s.judge()),
        Case("two persons swapped", None, lambda s: s.judge(order=_swapped(*s.pair(same=False)))),
        Case("one person's event again, later", None, lambda s: s.judge(again=s.pair(same=True))),
        Case("tail dropped", "lost", lambda s: s.judge(order=lambda o: [i for i in o if i not in single[-5:]])),
        Case("middle dropped", "gap", lambda s: s.judge(order=lambda o: [i for i in o if i != middle])),
        Case("middle dropped, lost", "lost", lambda s: s.judge(order=lambda o: [i for i in o if i != middle])),
        Case("applied twice", "dup_effect", lambda s: s.judge(order=lambda o: [*o, again], forgetful=[again])),
        Case("one person swapped", "disorder", lambda s: s.judge(order=_swapped(*s.pair(same=True)))),
        Case("a letter changed", "corrupt", lambda s: s.judge(spoil=_edit("out.mhi", _flip))),
        Case("an event's letter changed", "corrupt", lambda s: s.judge(spoil=_edit("events.veteran", _flip))),
        Case("never sent", "phantom", lambda s: s.judge(spoil=_stranger)),
        Case("applied and refused", "both_applied_and_dlq", lambda s: s.judge(spoil=_two_ways)),
        Case("an old status", "wrong_status", lambda s: s.judge(spoil=_older)),
        Case("a mask off", "over_delivery", lambda s: s.judge(spoil=_shown)),
        Case("to another agency", "over_delivery", lambda s: s.judge(spoil=_elsewhere)),
        Case("a delivery missing", "under_delivery", lambda s: s.judge(spoil=_edit("out.stat", lambda rec: None))),
        Case("a receipt of nothing", "receipt_without_record", lambda s: s.judge(spoil=_ghost)),
        Case("acknowledged, not in the topic", "lost", lambda s: s.judge(spoil=_edit("in.zefer", lambda rec: None))),
        Case("too late", "unseen", lambda s: s.judge(unseen=1)),
    ]


def run(catalogue: Catalogue) -> dict[str, str]:
    """Case → what is wrong with the judge; empty where it is right in all."""
    stand, wrong = Stand(catalogue), {}
    known = cases(catalogue)
    for case in known:
        found = {name: count for name, count in case.run(stand).judge().items() if count}
        if (case.verdict not in found) if case.verdict else found:
            wrong[case.name] = f"expected {case.verdict}, found {found}"
    if missing := set(VERDICTS) - {case.verdict for case in known}:
        wrong["cases"] = f"no case for {sorted(missing)}"
    return wrong


def _sorted(topics: Topics) -> Topics:
    return {topic: sorted(log, key=lambda r: (r.partition, r.offset)) for topic, log in topics.items()}


def _origin(rec: Rec) -> dict[str, object]:
    return {"origin_topic": rec.topic, "origin_partition": rec.partition, "origin_offset": rec.offset}


def _event_id(send: Send) -> str:
    return _digest(f"{send.agency}/{send.id}")


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
