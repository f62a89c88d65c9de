"""Limits that connections share: time on the event loop, and the rate of incoming bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wireside.server.limits import Shares, SocketLimits


class Work:
    """Pieces of work that take one second each, on a clock that only they advance."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[int] = []

    def clock(self) -> float:
        return self.now

    def piece(self, number: int) -> Callable[[], None]:
        def work() -> None:
            self.now += 1.0
            self.done.append(number)

        return work


async def test_work_beyond_the_share_of_a_turn_waits_for_the_next_ones() -> None:
    work = Work()
    shares = Shares(2.0, work.clock)
    at_once = [shares.run_or_queue(work.piece(number)) for number in range(7)]
    assert at_once == [True, True, False, False, False, False, False]
    done = []
    for _ in range(4):
        await asyncio.sleep(0)
        done.append(list(work.done))
    assert done == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], list(range(7)), list(range(7))]
    assert shares.run_or_queue(work.piece(7))


async def test_what_waits_already_waits_once() -> None:
    work = Work()
    shares = Shares(1.0, work.clock)
    shares.run_or_queue(work.piece(0))
    piece = work.piece(1)
    shares.run_or_queue(piece)
    shares.run_or_queue(piece)
    for _ in range(4):
        await asyncio.sleep(0)
    assert work.done == [0, 1]


async def test_work_that_fails_holds_nobody_up() -> None:
    work = Work()
    shares = Shares(1.0, work.clock)

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shares.run_or_queue(fails)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shares.run_or_queue(work.piece(1))


def test_bytes_buy_time_and_save_up_no_more_than_a_pause() -> None:
    limits = SocketLimits(handshake_s=10, least_bytes_per_second=240)
    began = limits.arrival_s
    assert limits.next_deadline(began, 1.0, 240) == pytest.approx(began + 1)
    assert limits.next_deadline(began, 1.0, 10**6) == pytest.approx(1.0 + limits.arrival_s)
    assert limits.next_deadline(began, 1.0, 0) == began
