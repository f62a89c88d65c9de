"""Keeps the removal of contents apart from additions of files, which may run at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ContentsLock:
    """Any number of additions at a time, or one removal, in the order of their beginning.

    A content is removed if no file has it, and an addition keeps the content before the file: in
    between, it must not be removed.
    """

    def __init__(self) -> None:
        self._gate = asyncio.Lock()
        self._additions = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[None]:
        """Hold the lock for an addition."""
        async with self._gate:
            self._additions += 1
            self._is_idle.clear()
        try:
            yield
        finally:
            self._additions -= 1
            if not self._additions:
                self._is_idle.set()

    @asynccontextmanager
    async def removing(self) -> AsyncIterator[None]:
        """Hold the lock for a removal, once all additions before it have ended."""
        async with self._gate:
            await self._is_idle.wait()
            yield
