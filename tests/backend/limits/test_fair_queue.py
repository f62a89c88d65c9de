"""Queues that serve addresses round-robin."""

from __future__ import annotations

import asyncio

from wireside.limits.fair_queue import FairQueue, StartQueue


async def test_turns_go_around_the_addresses() -> None:
    """An address with many queued requests delays another address by one request only."""
    turns, order = FairQueue(1), []

    async def take(address: str) -> None:
        await turns.acquire_slot(address)
        order.append(address)
        await asyncio.sleep(0)
        turns.release_slot()

    await asyncio.gather(*(take("greedy") for _ in range(5)), take("b"), take("c"))
    assert order == ["greedy", "greedy", "b", "c", "greedy", "greedy", "greedy"]
    await asyncio.wait_for(turns.acquire_slot("later"), 1)


async def test_who_gives_up_waiting_takes_nobodys_turn() -> None:
    turns = FairQueue(1)
    await turns.acquire_slot("a")
    waiting = [asyncio.create_task(turns.acquire_slot("b")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    turns.release_slot()
    waiting[1].cancel()  # at the moment when its turn is granted
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    await asyncio.wait_for(waiting[2], 1)


async def test_few_begin_in_each_turn_of_the_loop_and_the_addresses_take_turns() -> None:
    starts, order, turn = StartQueue(2), list[tuple[int, str]](), 0

    async def begin(address: str) -> None:
        start = starts.wait_for_start(address)
        if start is not None:
            await start
        order.append((turn, address))

    work = [asyncio.create_task(begin("greedy")) for _ in range(7)]
    work.append(asyncio.create_task(begin("person")))
    while not all(task.done() for task in work):
        await asyncio.sleep(0)
        turn += 1
    begun = [sum(when == number for when, _ in order) for number in range(turn)]
    assert max(begun) == 2
    assert [address for _, address in order].index("person") <= 3
    assert starts.wait_for_start("later") is None  # all have started, so nothing is queued


async def test_who_gives_up_waiting_is_passed_over() -> None:
    starts = StartQueue(1)
    assert starts.wait_for_start("a") is None
    gone, waits = starts.wait_for_start("a"), starts.wait_for_start("a")
    assert gone is not None
    assert waits is not None
    gone.cancel()
    await asyncio.wait_for(waits, 1)
