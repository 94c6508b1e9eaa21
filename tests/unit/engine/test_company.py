"""Few small transactions at once, and nobody kept waiting by one that hangs."""

from __future__ import annotations

import asyncio
import time

from hub.engine.company import AT_ONCE, SMALL, WAIT_SECONDS, Company


def test_small_batches_wait_for_a_turn_and_go_as_one_ends() -> None:
    async def run() -> list[int]:
        company, inside, seen = Company(), 0, list[int]()

        async def batch() -> None:
            nonlocal inside
            async with company.turn(1):
                inside += 1
                seen.append(inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(batch() for _ in range(10)))
        return seen

    assert max(asyncio.run(run())) == AT_ONCE


def test_nobody_waits_long_for_a_commit_that_hangs_and_a_large_batch_or_one_in_a_crowd_not_at_all() -> None:
    async def run() -> tuple[float, float]:
        company, end = Company(), asyncio.Event()

        async def hangs() -> None:
            async with company.turn(1):
                await end.wait()

        hanging = [asyncio.create_task(hangs()) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        began = time.monotonic()
        async with company.turn(SMALL), company.turn(1, crowded=True):
            large = time.monotonic() - began
        async with company.turn(1):
            small = time.monotonic() - began
        end.set()
        await asyncio.gather(*hanging)
        async with company.turn(1), company.turn(1):
            assert company._free.locked()  # who went without a turn gave none back
        return large, small

    large, small = asyncio.run(run())
    assert large < WAIT_SECONDS <= small + 0.01


def test_a_batch_that_fails_gives_its_turn_back() -> None:
    async def run() -> None:
        company = Company()
        for _ in range(AT_ONCE + 1):
            try:
                async with company.turn(1):
                    raise ValueError
            except ValueError:
                pass
        assert not company._free.locked()

    asyncio.run(run())
