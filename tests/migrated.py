"""Databases with the newest schema: to copy one takes a twentieth of the time to migrate one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from wireside.store.store import SqlStore


def migrate(url: str) -> None:
    """Bring a database to the newest schema, also while an event loop runs."""

    async def open_and_close() -> None:
        store = SqlStore(url)
        await store.open()
        await store.aclose()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, open_and_close()).result()
