"""The pace of a page's updates."""

from __future__ import annotations

import asyncio

import pytest

from wireside_ui.presenters.updates import BACKLOG, BURST, UpdateLoop


class Connection:
    """A browser that takes its messages when the test says so."""

    is_open = True
    queued = 0


class Page:
    """Counts its updates."""

    def __init__(self, hidden_tick_s: float = 0.01, tick_s: float = 0.001) -> None:
        self.connection = Connection()
        self.updates = 0
        self.loop = UpdateLoop(
            self.update, self.connection, tick_s=tick_s, hidden_tick_s=hidden_tick_s
        )

    async def update(self) -> None:
        self.updates += 1


async def running(page: Page) -> asyncio.Task[None]:
    task = asyncio.create_task(page.loop.run())
    await asyncio.sleep(0)
    return task


async def test_a_page_is_updated_when_something_is_new() -> None:
    page = Page()
    task = await running(page)
    await asyncio.sleep(0.02)
    assert page.updates == 0
    for _ in range(3):  # one update for all
        page.loop.wake()
    await asyncio.sleep(0.05)
    assert page.updates == 1
    task.cancel()


async def test_an_idle_page_is_updated_at_once_a_few_times() -> None:
    page = Page(tick_s=3600.0, hidden_tick_s=7200.0)
    task = await running(page)
    for number in range(1, 2 * BURST):
        page.loop.wake()
        await asyncio.sleep(0.01)
        assert page.updates == min(number, BURST)
    task.cancel()


async def test_a_disconnected_page_is_not_updated() -> None:
    page = Page()
    page.connection.is_open = False
    task = await running(page)
    page.loop.wake()
    await asyncio.sleep(0.02)
    assert page.updates == 0
    task.cancel()


async def test_a_hidden_page_is_updated_when_it_is_seen() -> None:
    page = Page(hidden_tick_s=3600.0)
    await page.loop.rest()
    page.loop.set_visible(False)
    resting = asyncio.create_task(page.loop.rest())
    await asyncio.sleep(0.05)
    assert not resting.done()
    page.loop.set_visible(True)
    await resting


@pytest.mark.parametrize("how", ["taken", "disconnected"])
async def test_a_page_waits_until_its_browser_has_taken_its_messages(how: str) -> None:
    page = Page()
    page.connection.queued = BACKLOG + 1
    resting = asyncio.create_task(page.loop.rest())
    await asyncio.sleep(0.05)
    assert not resting.done()
    if how == "taken":
        page.connection.queued = BACKLOG
    else:
        page.connection.is_open = False
    await resting
