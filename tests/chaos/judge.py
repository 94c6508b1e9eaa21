"""The verdicts: what the topics hold, held against what was sent. Every number must be 0.

`lost` an acknowledged record without its effect · `dup_effect` an effect twice · `disorder` events of one
(person, source, stream) in another order · `gap` numbers missing below the highest · `phantom` what nobody sent ·
`corrupt` other bytes or values · `both_applied_and_dlq` by input coordinates · `wrong_status` ·
`over_delivery` to who may not see it, or a field of it · `under_delivery` · `receipt_without_record` ·
`unseen` without a verdict when the time after the last fault was up.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from chaos.catalogue import Catalogue, Codec, Type
from chaos.compose import CANARY, Send, link
from chaos.history import History
from chaos.model import Applied, deliveries, late, statuses
from chaos.readout import Rec, Topics

VERDICTS = (
    "lost",
    "dup_effect",
    "disorder",
    "gap",
    "phantom",
    "corrupt",
    "both_applied_and_dlq",
    "wrong_status",
    "over_delivery",
    "under_delivery",
    "receipt_without_record",
    "unseen",
)
WORD = re.compile(rb"W(?=[0-9]{6})")
"""Where a FİN of ours may begin."""

Chain = tuple[str, str, str]
"""(key of the person or case, agency, stream)."""


class Registry:
    """Decodes any value by the schema id in its first bytes."""

    def __init__(self, records: Iterable[Rec]) -> None:
        entries = [json.loads(record.value) for record in records if record.value]
        self._texts = {e["id"]: (e["subject"], e["schema"]) for e in entries if "schema" in e}
        self._codecs: dict[int, Codec] = {}
        self.ids = {subject: number for number, (subject, _) in sorted(self._texts.items())}

    def decode(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """(full name of the schema, values)."""
        number = int.from_bytes(value[1:5], "big")
        subject, text = self._texts[number]
        if number not in self._codecs:
            self._codecs[number] = Codec(json.loads(text))
        return subject, self._codecs[number].decode(value)


class Input:
    """A record of `in.<agency>` and the send that it is."""

    def __init__(self, rec: Rec, send: Send, of: Type, unsure: bool) -> None:
        self.rec, self.send, self.type, self.unsure = rec, send, of, unsure
        self.verdicts: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []
        self.passed: list[Rec] = []

    @cached_property
    def fields(self) -> dict[str, Any]:
        try:
            return self.type.codec.decode(self.send.value)
        except (ValueError, EOFError, IndexError):
            return {}  # made so that it must be refused

    @cached_property
    def named(self) -> dict[str, str]:
        return self.rec.named

    @cached_property
    def subject(self) -> str:
        """FİN or case number; a conflict and a duplicate have that of the event they repeat."""
        return self.fields.get(self.type.key_field, "")

    @cached_property
    def chain(self) -> Chain:
        return self.subject, self.send.agency, self.type.stream

    @cached_property
    def canaries(self) -> set[bytes]:
        return set(CANARY.findall(self.send.value))

    @cached_property
    def event(self) -> Applied:
        send = self.send
        return Applied(self.type, send.agency, send.id, send.time, send.sequence or -1, self.fields)

    def said(self, verdict: str) -> list[dict[str, Any]]:
        return [receipt for receipt in self.verdicts if receipt["verdict"] == verdict]


class Judge:
    """`seen` are the coordinates that had a verdict in time; None where nobody watched."""

    def __init__(
        self, catalogue: Catalogue, registry: Registry, history: History, topics: Topics, seen: set[str] | None
    ) -> None:
        self._catalogue, self._registry, self._history, self._topics = catalogue, registry, history, topics
        self.found: dict[str, list[str]] = {name: [] for name in VERDICTS}
        self._unseen = history.acknowledged - seen if seen is not None else set()
        self.inputs = self._inputs()
        self._good: dict[tuple[str, str], list[Input]] = defaultdict(
            list
        )  # (agency, id) → its records, first one first
        for each in self.inputs.values():
            if each.send.expect == "applied":
                self._good[each.send.agency, each.send.id].append(each)
        self._chains = self._sent_chains()
        people = [i for records in self._good.values() for i in records if i.type.of_person]
        self._fins = {each.subject.encode() for each in people}
        self._marked: dict[Input, set[tuple[str, str, str | None]]] = {}
        self._subjects: dict[str, str] = {}  # key in events.* → FİN or case number

    def judge(self) -> dict[str, int]:
        for record in sorted(self._unseen):
            self._say("unseen", record)
        self._receipts()
        self._letters()
        self._passed()
        self._effects()
        self._outcomes()
        self._delivered()
        self._statuses()
        self._spoken()
        return {name: len(found) for name, found in self.found.items()}

    @property
    def duplicates(self) -> int:
        """How many records were recognised as sent before."""
        return sum(len(each.said("DUPLICATE")) for each in self.inputs.values())

    def _say(self, verdict: str, what: str) -> None:
        self.found[verdict].append(what)

    def _all(self, prefix: str) -> Iterable[Rec]:
        return (record for topic, records in self._topics.items() if topic.startswith(prefix) for record in records)

    def _first(self, each: Input) -> Input:
        return self._good[each.send.agency, each.send.id][0]

    def _inputs(self) -> dict[str, Input]:
        """What came in, each with its send; and what was acknowledged and is not there."""
        sends = {(s.send.agency, s.send.id, s.send.value): s.send for s in self._history.sent}
        unsure = {(s.send.agency, s.send.key) for s in self._history.sent if s.unsure}
        found: dict[str, Input] = {}
        for rec in self._all("in."):
            agency = rec.topic.removeprefix("in.")
            send = sends.get((agency, rec.named.get("ce_id", ""), rec.value or b""))
            if send is None:
                self._say("phantom", f"{rec.at}: nobody sent it")
            else:
                found[rec.at] = Input(rec, send, self._catalogue.types[send.type], (agency, send.key) in unsure)
        for sent in self._history.sent:
            if sent.refused and sent.send.expect == "applied":
                self._say("lost", f"{sent.send.agency}, {sent.send.id}: not taken, and nothing is wrong with it")
        there = {(each.send.agency, each.send.id) for each in found.values()}
        for sent in self._history.sent:
            if sent.taken and (sent.send.agency, sent.send.id) not in there:
                self._say("lost", f"{sent.send.agency}, {sent.send.id}: taken, gone")
        for record in sorted(self._history.acknowledged - found.keys()):
            self._say("lost", f"{record}: acknowledged by the broker, gone")
        return found

    def _sent_chains(self) -> dict[Chain, list[Input]]:
        """The first record of each good event, in the order that is owed: by number, or, where a send's outcome
        was unknown and it went again, as the broker took them."""
        chains: dict[Chain, list[Input]] = defaultdict(list)
        for records in self._good.values():
            chains[records[0].chain].append(records[0])
        for chain in chains.values():
            unsure = any(each.unsure for each in chain)
            chain.sort(key=lambda i: (i.rec.partition, i.rec.offset) if unsure else i.send.sequence)
        return chains

    def _receipts(self) -> None:
        for rec in self._all("receipts."):
            name, value = self._registry.decode(rec.value or b"")
            if name != "hub.Receipt":
                continue
            origin = origin_of(value)
            if origin not in self.inputs:
                self._say("receipt_without_record", f"{rec.at}: of {origin}")
                continue
            each = self.inputs[origin]
            each.verdicts.append(value)
            if (rec.key or b"").decode() != origin or value["id"] not in (each.send.id, None):
                self._say("corrupt", f"{rec.at}: key or id is not of {origin}")

    def _letters(self) -> None:
        for rec in self._all("dlq."):
            _, value = self._registry.decode(rec.value or b"")
            each = self.inputs.get(origin_of(value))
            if each is None:
                self._say("phantom", f"{rec.at}: dead letter of {origin_of(value)}")
                continue
            each.letters.append(value)
            if value["value"] != each.rec.value:
                self._say("corrupt", f"{rec.at}: other bytes than {each.rec.at}")

    def _passed(self) -> None:
        """events.*: each once, its bytes and attributes as they came, one key and one partition for one person."""
        partitions: dict[str, set[int]] = defaultdict(set)
        order: dict[Chain, list[Input]] = defaultdict(list)
        for rec in self._all("events."):
            each = self.inputs.get(rec.named.get("hub_origin", ""))
            if each is None:
                self._say("phantom", f"{rec.at}: of {rec.named.get('hub_origin')}")
                continue
            if not each.passed and each.send.expect == "applied" and each is self._first(each):
                order[each.chain].append(each)
            each.passed.append(rec)
            key = (rec.key or b"").decode()
            partitions[key].add(rec.partition)
            if rec.value != each.rec.value or _attributes(rec.named) != _attributes(each.named):
                self._say("corrupt", f"{rec.at}: not as {each.rec.at} came")
            if self._subjects.setdefault(key, each.subject) != each.subject:
                self._say("corrupt", f"{rec.at}: the key of another person")
        for key, several in partitions.items():
            if len(several) > 1:
                self._say("disorder", f"events of {key} are in partitions {sorted(several)}")
        subjects = set(self._subjects.values())
        if len(subjects) != len(self._subjects):
            self._say("corrupt", f"{len(self._subjects)} keys for {len(subjects)} persons and cases")
        for chain, passed in order.items():
            self._in_order(f"events of {chain}", passed)
            self._linked(passed)

    def _in_order(self, where: str, found: list[Input]) -> None:
        """Each that comes before one that it is owed to follow."""
        owed = {id(each): place for place, each in enumerate(self._chains[found[0].chain])}
        for before, after in zip(found, found[1:]):
            if owed[id(after)] < owed[id(before)]:
                self._say("disorder", f"{where}: {after.send.sequence} after {before.send.sequence}")

    def _linked(self, passed: list[Input]) -> None:
        """What each says of its forerunner is true of the one that passed before it."""
        if any(each.unsure for each in passed):
            return
        for before, after in zip([None, *passed], passed):
            if after.send.chain != (link(before.send.id, before.passed[0].value or b"") if before else ""):
                self._say("gap", f"{after.rec.at}: its forerunner did not pass just before it")

    def _outcomes(self) -> None:
        """Each record has its one verdict: the first of an event is applied, the others are duplicates."""
        for each in self.inputs.values():
            if len(each.verdicts) > 1:
                self._say("dup_effect", f"{each.rec.at}: {len(each.verdicts)} receipts")
            if len(each.passed) > 1:
                self._say("dup_effect", f"{each.rec.at}: passed the gate {len(each.passed)} times")
            if len(each.letters) > 1:
                self._say("dup_effect", f"{each.rec.at}: {len(each.letters)} dead letters")
            if each.letters and (each.said("APPLIED") or each.said("DUPLICATE")):
                self._say("both_applied_and_dlq", each.rec.at)
            if not each.verdicts:
                self._say("lost", f"{each.rec.at}: no receipt")
            elif each.send.expect == "rejected":
                self._refused(each)
            elif each.letters or each.said("REJECTED"):
                self._say("lost", f"{each.rec.at}: refused, {each.verdicts[0]['code']}")

    def _refused(self, each: Input) -> None:
        if not each.said("REJECTED"):
            self._say("phantom", f"{each.rec.at}: applied, and should have been refused")
        elif not each.letters:
            self._say("lost", f"{each.rec.at}: refused, and not in the dead-letter queue")

    def _effects(self) -> None:
        """An event is applied once, by its first record, and the versions of a person count its events."""
        versions: dict[str, list[tuple[int, Input]]] = defaultdict(list)
        for records in self._good.values():
            applied = [(receipt, each) for each in records for receipt in each.said("APPLIED")]
            if not applied:
                self._say("lost", f"{records[0].rec.at}: never applied")
            elif len(applied) > 1:
                self._say("dup_effect", f"{records[0].rec.at}: applied {len(applied)} times")
            elif applied[0][1] is not records[0]:
                self._say("disorder", f"{records[0].rec.at}: a later record of the event was applied")
            for receipt, each in applied:
                versions[each.subject].append((receipt["version"] or 0, each))
                if receipt["sequence_gap"] and not each.unsure:
                    self._say("gap", f"{each.rec.at}: the receipt says that a number is missing")
        for subject, rows in versions.items():
            self._counted(subject, sorted(rows, key=lambda row: row[0]))

    def _counted(self, subject: str, rows: list[tuple[int, Input]]) -> None:
        numbers = [number for number, _ in rows]
        if numbers != list(range(1, len(rows) + 1)):
            self._say("wrong_status", f"versions of {subject} are {numbers}")
        for place, (_, each) in enumerate(rows):
            before = [other.event for _, other in rows[:place]]
            if each.said("APPLIED")[0]["late"] != late(each.event, before):
                self._say("wrong_status", f"{each.rec.at}: late or not, it says the other")

    def _delivered(self) -> None:
        """out.*: to each entitled agency once, what it may see and no more, in order."""
        expected = {key: deliveries(records[0].type, records[0].fields) for key, records in self._good.items()}
        got: dict[tuple[str, str], set[str]] = defaultdict(set)
        names: dict[str, set[str]] = defaultdict(set)
        for topic in [topic for topic in self._topics if topic.startswith("out.")]:
            receiver, order, last, keys = topic.removeprefix("out."), defaultdict(list), {}, {}
            for rec in self._topics[topic]:
                named = rec.named
                event = named.get("ce_source", "").rpartition(":")[2], named.get("ce_originid", "")
                if event not in expected or not self._marks(self._good[event][0]):
                    self._say("phantom", f"{rec.at}: of {event}, which was not applied")
                    continue
                first, names_of = self._good[event][0], named.get("ce_id", "")
                names[names_of].add(first.subject)
                if receiver in got[event]:
                    self._say("dup_effect", f"{rec.at}: {event} again")
                else:
                    order[first.chain].append(first)
                got[event].add(receiver)
                self._shown(rec, named, first, expected[event].get(receiver))
                if keys.setdefault(rec.key, first.subject) != first.subject:
                    self._say("corrupt", f"{rec.at}: the key of another person")
                version = int(named.get("ce_statusversion", "0"))
                if version <= last.get(rec.key, 0):
                    self._say("disorder", f"{rec.at}: version {version} after {last[rec.key]}")
                last[rec.key] = version
            if len(set(keys.values())) != len(keys):
                self._say("corrupt", f"{topic}: {len(keys)} keys for {len(set(keys.values()))} persons and cases")
            for chain, found in order.items():
                self._in_order(f"{topic} of {chain}", found)
                self._dense(topic, found, expected)
        for event, receivers in expected.items():
            for receiver in sorted(receivers.keys() - got[event]):
                self._say("under_delivery", f"{self._good[event][0].rec.at} to {receiver}")
        for name, subjects in names.items():
            if len(subjects) > 1:
                self._say("corrupt", f"event id {name} names several persons")

    def _shown(self, rec: Rec, named: dict[str, str], each: Input, wanted: dict[str, Any] | None) -> None:
        """One delivery: the fields, the attributes, and no text that the receiver may not see."""
        if wanted is None:
            self._say("over_delivery", f"{rec.at}: the agency may not see {each.type.name}")
            return
        try:
            _, fields = self._registry.decode(rec.value or b"")
        except (ValueError, KeyError, EOFError, IndexError) as error:
            self._say("corrupt", f"{rec.at}: {error!r}")
            return
        hidden = each.canaries and each.canaries - set(CANARY.findall(repr(wanted).encode()))
        bare = [name for name in fields if fields[name] != wanted.get(name) and fields[name] == each.fields[name]]
        if bare or fields.keys() - wanted.keys() or any(text in (rec.value or b"") for text in hidden):
            self._say("over_delivery", f"{rec.at}: shows what {rec.topic} may not see")
        elif fields != wanted:
            self._say("corrupt", f"{rec.at}: other values than {each.rec.at}")
        if (named.get("ce_id"), named.get("ce_statusversion"), named.get("ce_late")) not in self._marks(each):
            self._say("corrupt", f"{rec.at}: id, version or late mark are not the receipt's")
        kept = ("ce_source", "ce_type", "ce_time", "ce_sequence", "ce_causationid")
        if any(named.get(name) != each.named.get(name) for name in kept):
            self._say("corrupt", f"{rec.at}: other attributes than {each.rec.at}")

    def _marks(self, each: Input) -> set[tuple[str, str, str | None]]:
        """(id, version, late mark) of an event, as its receipts have it. Asked when all receipts are read."""
        if (known := self._marked.get(each)) is not None:
            return known
        said = (receipt for other in self._good[each.send.agency, each.send.id] for receipt in other.said("APPLIED"))
        self._marked[each] = {(r["event_id"], str(r["version"]), "true" if r["late"] else None) for r in said}
        return self._marked[each]

    def _dense(self, topic: str, found: list[Input], expected: dict[Any, dict[str, Any]]) -> None:
        """Nothing that is due to this receiver is missing before the last that it got."""
        receiver, have = topic.removeprefix("out."), {id(each) for each in found}
        chain = self._chains[found[0].chain]
        upto = max(place for place, each in enumerate(chain) if id(each) in have)
        for each in chain[:upto]:
            if id(each) not in have and receiver in expected[each.send.agency, each.send.id]:
                self._say("gap", f"{topic}: {each.send.sequence} of {each.chain} is missing")

    def _statuses(self) -> None:
        """The last status of each person is the model's, and no version comes back."""
        last: dict[str, dict[str, Any]] = {}
        for rec in self._topics.get("status.person", ()):
            key = (rec.key or b"").decode()
            _, value = self._registry.decode(rec.value or b"")
            if key not in self._subjects:
                self._say("phantom", f"{rec.at}: status of an unknown person")
            elif key in last and value["version"] <= last[key]["version"]:
                self._say("dup_effect", f"{rec.at}: version {value['version']} after {last[key]['version']}")
            last[key] = value
        events: dict[str, list[Applied]] = defaultdict(list)
        for records in self._good.values():
            if records[0].type.of_person:
                events[records[0].subject].append(records[0].event)
        shown = {self._subjects.get(key, key): value for key, value in last.items()}
        for subject, applied in events.items():
            value = shown.get(subject)
            if value is None or (value["version"], value["statuses"]) != (len(applied), statuses(applied)):
                self._say("wrong_status", f"{subject}: {value and value['version']} of {len(applied)} events")

    def _spoken(self) -> None:
        """No canary and no FİN in a key or header that the hub writes, nor in a receipt."""
        for rec in self._all(""):
            if rec.topic.startswith("in."):
                continue
            text = b"\n".join([rec.key or b"", *(value for _, value in rec.headers)])
            if rec.topic.startswith(("receipts.", "activity", "audit")):
                text += rec.value or b""
            self.silent(rec.at, text)

    def silent(self, where: str, text: bytes) -> None:
        """Holds no text that is of a person."""
        if CANARY.search(text) or any(text[m.start() : m.start() + 7] in self._fins for m in WORD.finditer(text)):
            self._say("over_delivery", f"{where}: personal data where none may be")


def origin_of(value: dict[str, Any]) -> str:
    return f"{value['origin_topic']}/{value['origin_partition']}/{value['origin_offset']}"


def _attributes(named: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in named.items() if name.startswith("ce_")}
