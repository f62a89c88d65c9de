"""The order in which the answers of a batch begin."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from wireside.chat.batches import BatchItem, BatchRun
from wireside.errors import TooMany
from wireside.generation.runner import Stream


class Account:
    """Answers at most ``limit`` questions at once; each answer takes some steps of the loop."""

    def __init__(self, limit: int) -> None:
        self.begun: list[int] = []
        self._free = limit

    async def begin(self, index: int) -> BatchItem:
        await asyncio.sleep(0)
        if not self._free:
            raise TooMany
        self._free -= 1
        self.begun.append(index)
        return BatchItem(cast("Stream", self))

    async def wait_ended(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self._free += 1


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
@pytest.mark.parametrize("parallel", [1, 2, 3, 8])
async def test_answers_begin_in_the_order_of_their_questions(parallel: int, limit: int) -> None:
    account = Account(limit)
    await asyncio.wait_for(BatchRun(8, parallel=parallel).answer_all(account.begin), 20)
    assert account.begun == list(range(8))


async def test_a_waiting_question_that_is_stopped_lets_the_next_begin() -> None:
    account = Account(1)
    run = BatchRun(4, parallel=2)

    async def begin(index: int) -> BatchItem:
        if index == 1:
            asyncio.get_running_loop().call_soon(run.stop, 1)
        return await account.begin(index)

    await asyncio.wait_for(run.answer_all(begin), 20)
    assert account.begun == [0, 2, 3]
    assert await run.wait_for_outcome(1) is None
