"""Schema ids registered while a worker runs: found when a record names one, at a cost that nobody can raise."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest import mock

import pytest
from world import PARTITIONS, SECRET, VETERAN, catalogue

from hub.engine import versions
from hub.engine.versions import (
    AGAIN_SECONDS,
    BEHIND_SECONDS,
    BURST,
    EVERY_SECONDS,
    FORGET_SECONDS,
    MISSED_SECONDS,
    PATIENCE_SECONDS,
    WANTED_IDS,
    Versions,
)
from hub.errors import Fatal, Retry
from hub.pipeline.rulebook import compile_rulebook
from hub.registry.schemas import Schemas


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


@dataclass
class Registry:
    """What is registered, how often it was looked up, and what is wrong with it."""

    known: Schemas = field(default_factory=Schemas)
    looks: list[tuple[int, ...]] = field(default_factory=list)
    away: bool = False
    held: threading.Event | None = None
    began: threading.Event = field(default_factory=threading.Event)

    def register(self) -> int:
        """One more version of the type; its id."""
        schema: dict[str, Any] = dict(catalogue().types[VETERAN].schema)
        note = {"name": f"note_{self.known.highest_id}", "type": "string", "default": ""}
        text = json.dumps(schema | {"fields": [*schema["fields"], note]})
        (entry,) = self.known.assign([(VETERAN, text)])
        return entry.id

    def look_up(self, ids: Collection[int]) -> Schemas:
        self.looks.append(tuple(ids))
        if self.away:
            raise Retry("the schema registry does not answer")
        found = Schemas()
        for entry in self.known.versions(VETERAN):
            found.add(entry)
        self.began.set()
        if self.held is not None:
            self.held.wait(10)
        return found


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.registry = Registry()
        self.registry.known.assign(catalogue().schemas())
        self.rules = compile_rulebook(catalogue(), self.registry.known, SECRET, PARTITIONS)
        self.versions = Versions(self.rules, self.registry.look_up, lambda: self.now)

    async def looked(self, times: int) -> None:
        while len(self.registry.looks) < times:  # noqa: ASYNC110 - a thread looks
            await asyncio.sleep(0)

    async def patience_ends(self, id: int) -> None:
        """No answer comes: the line waits, until now."""
        for seconds in (0, PATIENCE_SECONDS - 1):
            self.now += seconds
            with pytest.raises(Retry):
                await self.found(("mod", id))
        self.now += 1

    async def found(self, *used: tuple[str, int]) -> bool:
        return await self.versions.learned(set(used))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    seconds = {"BETWEEN_SECONDS": 0.0, "AWAY_SECONDS": 0.0, "ANSWER_SECONDS": 60.0, "GLANCE_SECONDS": 60.0}
    with mock.patch.multiple(versions, log=mock.DEFAULT, **seconds):
        yield World()


@on_a_loop
async def test_what_was_registered_since_is_found_and_read_from_then_on() -> None:
    async with world() as it:
        id = it.registry.register()
        assert id not in it.rules.gate_readers
        assert await it.found(("mod", id))
        assert it.rules.gate_readers[id].older and it.rules.ledger_readers[id].older
        assert await it.found(("mes", id)) and len(it.registry.looks) == 1


@on_a_loop
async def test_what_nobody_registered_is_not_looked_for_again_for_a_while() -> None:
    async with world() as it:
        for looks, pause in ((1, BEHIND_SECONDS), (2, MISSED_SECONDS), (3, MISSED_SECONDS)):
            for _ in range(3):
                assert not await it.found(("mod", 9999))
            assert it.registry.looks == looks * [(9999,)]
            it.now += pause


@on_a_loop
async def test_an_id_that_one_node_did_not_have_yet_is_looked_for_soon() -> None:
    async with world() as it:
        id = it.registry.known.highest_id + 1
        assert not await it.found(("mod", id))
        assert it.registry.register() == id
        it.now += BEHIND_SECONDS
        assert await it.found(("mod", id))


@on_a_loop
async def test_what_one_agency_made_up_does_not_hide_what_another_has_registered() -> None:
    async with world() as it:
        next = it.registry.known.highest_id + 1
        assert not await it.found(("mes", next))
        assert it.registry.register() == next
        assert await it.found(("mod", next))


@on_a_loop
async def test_a_look_up_that_began_before_the_id_was_used_does_not_tell_of_it() -> None:
    async with world() as it:
        it.registry.held = threading.Event()
        made_up = asyncio.create_task(it.found(("mes", it.registry.known.highest_id + 1)))
        await asyncio.to_thread(it.registry.began.wait, 10)
        id = it.registry.register()
        used = asyncio.create_task(it.found(("mod", id)))
        await asyncio.sleep(0)
        it.registry.held.set()
        assert await used and not await made_up
        assert it.registry.looks == [(id,), (id,)]


@on_a_loop
async def test_all_who_ask_at_once_share_one_look_up() -> None:
    async with world() as it:
        ids = [it.registry.register() for _ in range(3)]
        found = await asyncio.gather(*(it.found(("mod", id), ("mod", 9999)) for id in ids for _ in range(12)))
        assert all(found) and len(it.registry.looks) == 1
        assert sorted(it.registry.looks[0]) == [*ids, 9999]


@on_a_loop
async def test_while_one_looks_the_same_id_is_waited_for_with_it() -> None:
    async with world() as it:
        it.registry.held = threading.Event()
        id = it.registry.register()
        first = asyncio.create_task(it.found(("mod", id)))
        await asyncio.to_thread(it.registry.began.wait, 10)
        others = [asyncio.create_task(it.found(("mod", id))) for _ in range(2 * BURST)]
        await asyncio.sleep(0)
        it.registry.held.set()
        assert all(await asyncio.gather(first, *others)) and len(it.registry.looks) == 1


@on_a_loop
async def test_a_flood_of_ids_is_looked_for_a_few_times_and_the_ids_of_others_are_found() -> None:
    async with world() as it:
        for number in range(1000):
            assert not await it.found(("mes", 10_000 + number))
        assert len(it.registry.looks) == BURST
        assert await it.found(("mod", it.registry.register()))
        it.now += 3 * EVERY_SECONDS
        for number in range(1000):
            assert not await it.found(("mes", 20_000 + number))
        assert len(it.registry.looks) == BURST + 1 + 3


@on_a_loop
async def test_how_many_one_agency_makes_up_at_once_hides_nobodys_id() -> None:
    async with world() as it:
        id = it.registry.register()
        made_up = [("mes", 10_000 + number) for number in range(3 * WANTED_IDS)]
        assert all(await asyncio.gather(it.found(*made_up, ("mod", id)), it.found(("mod", id))))
        assert [len(looked) for looked in it.registry.looks] == [WANTED_IDS + 1]


@on_a_loop
async def test_a_slow_registry_is_asked_no_more_often() -> None:
    """Who waits no longer is not told what comes; but it was an answer, and counts."""
    async with world() as it:
        for number in range(2 * BURST):
            it.registry.held = threading.Event()
            with mock.patch.multiple(versions, ANSWER_SECONDS=0.01), suppress(Retry):
                await it.found(("mes", 10_000 + number))
            it.registry.held.set()
            await asyncio.gather(*(look.task for look in it.versions._looks.values()))
        assert len(it.registry.looks) == BURST


@on_a_loop
async def test_a_release_of_many_types_one_after_the_other_is_found() -> None:
    async with world() as it:
        for _ in range(BURST):
            assert await it.found(("mod", it.registry.register()))


@on_a_loop
async def test_what_is_remembered_is_bounded() -> None:
    async with world() as it:
        with mock.patch.object(versions, "MISSED_IDS", 50):
            for part in range(30):
                it.now += EVERY_SECONDS
                await it.found(*(("mes", 10_000 + 100 * part + number) for number in range(100)))
                assert len(it.versions._missed) <= 50 and not it.versions._looks
        assert len(it.versions._spent) == 1


@on_a_loop
async def test_a_registry_that_is_away_is_waited_for_and_then_holds_nobody() -> None:
    async with world() as it:
        id, it.registry.away = it.registry.register(), True
        for _ in range(2 * BURST):
            with pytest.raises(Retry):
                await it.found(("mod", id))
        it.now += PATIENCE_SECONDS - 1
        with pytest.raises(Retry):
            await it.found(("mod", id))
        it.now += 1
        assert not await it.found(("mod", id)), "the line goes on"
        assert it.versions.away, "what is refused meanwhile is no fault of an agency"
        it.registry.away, looks = False, len(it.registry.looks)
        assert not await it.found(("mod", id)) and len(it.registry.looks) == looks, "seldom does anybody wait"
        it.now += AGAIN_SECONDS
        assert await it.found(("mod", id)), "it is asked again, and who asks waits"
        assert not it.versions.away


@on_a_loop
async def test_who_comes_back_after_an_outage_asks_before_anything_is_refused() -> None:
    """The broker was away with the registry in it: a number that starts again has not been asking meanwhile."""
    async with world() as it:
        id, it.registry.away = it.registry.register(), True
        with pytest.raises(Retry):
            await it.found(("mod", id))
        it.now += 2 * PATIENCE_SECONDS
        it.registry.away = False
        assert await it.found(("mod", id))


@on_a_loop
async def test_who_has_just_started_waits_for_an_answer_though_others_have_given_up() -> None:
    async with world() as it:
        id, it.registry.away = it.registry.register(), True
        await it.patience_ends(id)
        assert not await it.versions.learned({("mod", id)}, anew=True), "it does not start again and again"
        it.registry.away = False
        assert not await it.found(("mod", id))
        assert await it.versions.learned({("mod", id)}, anew=True)


@on_a_loop
async def test_the_next_outage_is_waited_for_anew() -> None:
    async with world() as it:
        id, it.registry.away = it.registry.register(), True
        with pytest.raises(Retry):
            await it.found(("mod", id))
        it.now += FORGET_SECONDS + 1
        with pytest.raises(Retry):
            await it.found(("mod", id))


@on_a_loop
async def test_what_an_outage_refused_is_looked_for_as_soon_as_there_is_an_answer() -> None:
    async with world() as it:
        it.registry.away = True
        with pytest.raises(Retry):
            await it.found(("mod", 9999))
        assert not it.versions._missed, "no answer is not the answer that there is none"


@on_a_loop
async def test_a_registry_that_takes_for_ever_is_away() -> None:
    async with world() as it:
        it.registry.held, id = threading.Event(), it.registry.register()
        with mock.patch.multiple(versions, ANSWER_SECONDS=0.05):
            await it.patience_ends(id)
        assert not await it.found(("mod", id)), "nobody waits behind it"
        assert len(it.registry.looks) == 1, "one thread at a time"
        it.registry.held.set()
        await asyncio.gather(*(look.task for look in it.versions._looks.values()))
        assert await it.found(("mod", id)), "an answer that comes late is one"


@on_a_loop
async def test_what_passed_the_gate_is_waited_for_as_long_as_it_takes() -> None:
    async with world() as it:
        id, it.registry.away = it.registry.register(), True
        waiting = asyncio.create_task(it.versions.wanted(id))
        while len(it.registry.looks) < 3:
            await asyncio.sleep(0)
            it.now += PATIENCE_SECONDS
        assert not waiting.done()
        it.registry.away = False
        await waiting
        assert id in it.rules.ledger_readers


@on_a_loop
async def test_what_passed_the_gate_and_is_not_registered_is_fatal() -> None:
    """After a while: the node that was asked may be behind the one that the gate asked."""
    async with world() as it:
        waiting = asyncio.create_task(it.versions.wanted(9999))
        await it.looked(3)
        assert not waiting.done()
        it.now += PATIENCE_SECONDS + 1
        with pytest.raises(Fatal, match="schema id 9999"):
            await waiting


@on_a_loop
async def test_what_passed_another_gate_is_read_once_this_node_has_it() -> None:
    async with world() as it:
        id = it.registry.known.highest_id + 1
        waiting = asyncio.create_task(it.versions.wanted(id))
        await it.looked(1)
        assert it.registry.register() == id
        await waiting
        assert id in it.rules.ledger_readers


@on_a_loop
async def test_a_text_that_says_nothing_here_is_as_unknown_as_none() -> None:
    async with world() as it:
        for text in (
            '{"type":"record","name":"A","fields":[{"name":"x","type":"t.Other"}]}',
            '"string"',
            "syntax=proto3",
        ):
            with mock.patch("hub.registry.schemas.canonical", lambda text, **_: text):
                (entry,) = it.registry.known.assign([(VETERAN, text)])
            assert not await it.found(("mod", entry.id))
            assert it.rules.gate_readers.unreadable[entry.id] == VETERAN
        told = [call.kwargs["schema_id"] for call in versions.log.warning.call_args_list]  # type: ignore[attr-defined]
        assert told == sorted(it.rules.gate_readers.unreadable), "each is told of once"
        assert await it.found(("mod", it.registry.register()))
