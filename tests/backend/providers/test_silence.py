"""How long a model may be silent."""

from __future__ import annotations

import asyncio

import pytest

from wireside.providers.silence import SilenceWatch

SHORT_S = 0.02


async def never() -> str:
    await asyncio.Event().wait()
    return "never"


async def soon() -> str:
    await asyncio.sleep(0)
    return "soon"


async def test_what_comes_in_time_is_returned() -> None:
    with SilenceWatch(60, set()) as watch:
        assert await watch.over(soon) == "soon"


async def test_silence_ends_the_wait_and_leaves_the_task_as_it_was() -> None:
    with SilenceWatch(SHORT_S, set()) as watch, pytest.raises(TimeoutError):
        await watch.over(never)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_cancelling_is_no_silence() -> None:
    async def wait() -> None:
        with SilenceWatch(60, set()) as watch:
            await watch.over(never)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_read_comes_through() -> None:
    async def fail() -> None:
        raise ValueError

    with SilenceWatch(60, set()) as watch, pytest.raises(ValueError):
        await watch.over(fail)


async def test_time_in_which_nobody_waits_does_not_count() -> None:
    with SilenceWatch(SHORT_S, set()) as watch:
        await asyncio.sleep(3 * SHORT_S)
        assert await watch.over(soon) == "soon"


async def test_a_shorter_limit_counts_from_now() -> None:
    with SilenceWatch(60, set()) as watch:
        watch.shorten(SHORT_S)
        with pytest.raises(TimeoutError):
            await watch.over(never)


async def test_the_owner_can_end_all_waits() -> None:
    watches: set[SilenceWatch] = set()

    async def wait() -> None:
        with SilenceWatch(60, watches) as watch:
            await watch.over(never)

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    for watch in watches:
        watch.end()
    await asyncio.wait(tasks)
    assert [type(task.exception()) for task in tasks] == [TimeoutError] * 3
    assert watches == set()


async def test_after_its_end_nothing_is_waited_for() -> None:
    with SilenceWatch(60, set()) as watch:
        watch.end()
        with pytest.raises(TimeoutError):
            await watch.over(soon)


async def test_bytes_are_life_up_to_the_bound() -> None:
    limit_s, bound_s = 0.5, 2.0
    loop = asyncio.get_running_loop()
    with SilenceWatch(limit_s, set(), bound_s) as watch:
        began = loop.time()
        while loop.time() - began < 1.5 * limit_s:
            await watch.over(lambda: asyncio.sleep(SHORT_S))
            watch.saw_bytes()
        with pytest.raises(TimeoutError):
            while True:
                await watch.over(lambda: asyncio.sleep(SHORT_S))
                watch.saw_bytes()
        assert watch.waited_s == bound_s


async def test_bytes_count_as_life_for_a_while_only() -> None:
    async def keep_alive(watch: SilenceWatch) -> None:
        while True:
            await asyncio.sleep(0.01)
            watch.saw_bytes()

    loop = asyncio.get_running_loop()
    began = loop.time()
    with SilenceWatch(0.5, set(), 1.0) as watch:
        task = asyncio.create_task(keep_alive(watch))
        with pytest.raises(TimeoutError):
            await watch.over(never)
        task.cancel()
    assert loop.time() - began > 1.0


async def test_a_shorter_limit_can_be_taken_back() -> None:
    with SilenceWatch(60, set()) as watch:
        watch.shorten(0.05)
        watch.lengthen(60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await watch.over(never)
        assert await watch.over(soon) == "soon"
