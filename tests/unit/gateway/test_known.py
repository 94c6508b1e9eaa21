"""What a gateway remembers of the events that it took."""

from __future__ import annotations

import asyncio

from world import VETERAN, catalogue

from hub.gateway.examine import Examined
from hub.gateway.known import VERDICT_SECONDS, Found, Known
from hub.views.receipts import Verdict


def event(number: int, content: bytes = b"content") -> Examined:
    id = f"e-{number}"
    return Examined(id, catalogue().types[VETERAN], (b"key", b"value", []), id.encode(), content)


def known(kept: int) -> Known:
    return Known(lambda ids: {}, lambda *_: [], lambda record: None, kept)


def looked(known: Known, *events: Examined) -> list[Found | None]:
    return asyncio.run(known.look("mod", events))


def test_the_oldest_is_forgotten_first() -> None:
    remembered = known(kept=3)
    remembered.took([event(number) for number in range(5)], [f"in.mod/0/{number}" for number in range(5)])
    found = looked(remembered, *map(event, range(5)))
    assert found == [None, None, *(Found(same=True, record=f"in.mod/0/{number}") for number in (2, 3, 4))]


def test_other_content_under_an_id_just_taken_is_for_the_ledger_to_judge() -> None:
    remembered = known(kept=3)
    remembered.took([event(1)], ["in.mod/0/1"])
    assert looked(remembered, event(1, b"another")) == [None]


def test_what_was_read_back_is_bounded_as_well() -> None:
    applied = [Verdict("in.mod/0/1", {"verdict": "APPLIED"})]
    verdicts = dict.fromkeys((("mod", event(number).identity.hex()) for number in range(10)), applied)
    remembered = Known(lambda ids: verdicts, lambda *_: [], lambda _: b"content", kept=3)
    for number in range(10):
        assert looked(remembered, event(number)) == [Found(same=True, record="in.mod/0/1")]
    assert len(remembered._recent) == 3


def test_what_has_no_verdict_when_one_is_due_is_taken_again() -> None:
    """A refusal as `internal` names no id: it cannot be found, and has to be sent again."""
    now, applied = [0.0], dict[tuple[str, str], list[Verdict]]()
    remembered = Known(lambda ids: applied, lambda *_: [], lambda _: None, clock=lambda: now[0])
    remembered.took([event(1), event(2)], ["in.mod/0/1", "in.mod/0/2"])
    both = [Found(same=True, record=f"in.mod/0/{number}") for number in (1, 2)]
    applied["mod", event(2).identity.hex()] = [Verdict("in.mod/0/2", {"verdict": "APPLIED"})]
    now[0] = VERDICT_SECONDS
    assert looked(remembered, event(1), event(2)) == both
    now[0] += 1
    assert looked(remembered, event(1), event(2)) == [None, both[1]]
    remembered.took([event(1)], ["in.mod/0/3"])
    assert looked(remembered, event(1)) == [Found(same=True, record="in.mod/0/3")]


def test_what_several_ask_at_once_is_asked_once() -> None:
    """And each is told of its own agency's events alone; a failure is told to all."""
    asked, applied = list[list[str]](), [Verdict("in.mod/0/1", {"verdict": "APPLIED"})]

    def verdicts_on(ids: list[str]) -> dict[tuple[str, str], list[Verdict]]:
        asked.append(ids)
        if event(9).identity.hex() in ids:
            raise OSError
        return {("mod", id): applied for id in ids}

    remembered = Known(verdicts_on, lambda *_: [], lambda _: b"content")

    async def ask(*numbers: int) -> list[object]:
        looks = [remembered.look(agency, [event(n)]) for n in numbers for agency in ("mod", "mhi")]
        return await asyncio.gather(*looks, return_exceptions=True)

    found: list[object] = [Found(same=True, record="in.mod/0/1")]
    assert asyncio.run(ask(1, 2)) == [found, [None], found, [None]]
    assert [len(ids) for ids in asked] == [4]
    assert {type(each) for each in asyncio.run(ask(3, 9))} == {OSError}
