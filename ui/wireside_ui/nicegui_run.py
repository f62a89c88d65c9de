"""Runs NiceGUI while an application of ours runs, unless the host of the application runs it.

NiceGUI is one for all applications of the process: the first one starts it, the last one stops it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from nicegui import core
from nicegui.nicegui import _shutdown, _startup

from wireside_ui.application_pages import nicegui_config
from wireside_ui.nicegui_socket import early_detection, guarded_sockets


@asynccontextmanager
async def nicegui_running() -> AsyncIterator[None]:
    """Keep NiceGUI running, with the connections of our pages guarded."""
    await _run.enter()
    try:
        yield
    finally:
        await _run.leave()


class _Run:
    """Counts the applications that need NiceGUI."""

    def __init__(self) -> None:
        self._count = 0
        self._resources = AsyncExitStack()

    async def enter(self) -> None:
        self._count += 1
        if self._count > 1:
            return
        if not core.app.is_started:
            await self._resources.enter_async_context(_started())
        self._resources.enter_context(guarded_sockets())

    async def leave(self) -> None:
        self._count -= 1
        if not self._count:
            await self._resources.aclose()


_run = _Run()


@asynccontextmanager
async def _started() -> AsyncIterator[None]:
    theirs, core.app.config = core.app.config, nicegui_config()
    try:
        await _startup()
        with early_detection():
            yield
        await _shutdown()
    finally:
        core.app.remove_route("/favicon.ico")  # added by each start
        core.app.config = theirs
