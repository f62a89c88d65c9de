"""The application: its parts, their start and end, and the ASGI application that they serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from wireside.api.host_user import HostRules
from wireside.bootstrap.http import build_asgi
from wireside.bootstrap.parts import Parts, build_parts
from wireside.bootstrap.providers import settings_of
from wireside.errors import StoreError, WiresideError
from wireside.extension.chat import Chat
from wireside.offload import run_in_worker
from wireside.ports.provider import Provider
from wireside.server.run import ServedApplication
from wireside.settings.model import Settings
from wireside.store import words
from wireside_ui.markdown import highlighting
from wireside_ui.nicegui_run import nicegui_running

_log = structlog.get_logger(__name__)

HOUSEKEEPING_S = 5.0
"""Seconds between two checks for finished answers that have left the resume window."""

WARM_UP_S = 0.3
"""Seconds after the start in which the CPU is left to the first page."""

LAST_FRAMES_SHARE = 0.2
"""Share of the shutdown reserved for committing and sending the last frames of answers."""

MAX_LAST_FRAMES_S = 2.0
"""Maximum time of that share, in seconds: enough for hundreds of answers on a busy machine."""

LAST_WRITES_S = 0.3
"""Seconds that the end waits for pending writes."""

WRITE_S = 1.0
"""Seconds that the end then waits for a write in progress, whose outcome is unknown until then."""


def create_app(
    settings: Settings, *, provider: Provider | None = None, chat: Chat | None = None
) -> Application:
    """Return the whole server as one ASGI application: pages, WebSocket endpoint, REST API.

    Nothing outside the application is changed: the event loop's exception handler, the garbage
    collector, logging and resource limits are set by ``wireside serve``, in its own process.

    Args:
        settings: the settings; ``Settings()`` reads them as ``wireside serve`` does.
        provider: the source of answers, instead of the one that the settings select. The
            application closes it at shutdown.
        chat: handlers that answer, as models in front of those of the provider. Without
            ``provider`` and without a configured model service, they are the only ones.

    Raises:
        NotConfigured, ValueError: the settings can't be used; the text is a sentence.
    """
    if chat is not None:
        settings = settings_of(chat, settings)
    return Application(settings, build_parts(settings, provider=provider, chat=chat))


class Application(ServedApplication):
    """An ASGI application with its parts, and the order in which they start and end."""

    app: FastAPI

    def __init__(self, settings: Settings, parts: Parts, *, host: HostRules | None = None) -> None:
        """``host`` is how a host application authenticates the users of a mounted chat."""
        self.settings = settings
        self.parts = parts
        self.first_link: str | None = None
        """Secret of the link that creates the first administrator; None if there is one.

        It is known once the application has started.
        """
        self._is_warm = asyncio.Event()
        super().__init__(build_asgi(settings, parts, self._lifespan, host=host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or run the lifespan."""
        await self.app(scope, receive, send)

    async def prepare(self) -> None:
        """Open the store; waits for another server to release it. Raises ``NotConfigured``."""
        await self.parts.store.open(wait_s=self.settings.wait_s)

    async def drain(self) -> None:
        """Refuse new questions; give open answers ``shutdown_s``, then interrupt them."""
        last_s = min(MAX_LAST_FRAMES_S, self.settings.shutdown_s * LAST_FRAMES_SHARE)
        await self.parts.runner.drain(self.settings.shutdown_s - last_s)
        await asyncio.sleep(last_s / 10)  # lets the writer tasks run before sockets close

    async def wait_until_warm(self) -> None:
        """Wait until the one-time work after the start has ended."""
        await self._is_warm.wait()

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open and close all resources around the server's lifespan."""
        async with nicegui_running():
            await self._start_parts()
            try:
                yield
            finally:
                await self._stop_parts()

    async def _start_parts(self) -> None:
        parts = self.parts
        await parts.store.open()
        if parts.auth.gate.mode == "password":
            self.first_link = await parts.auth.accounts.first_link()
        parts.tasks.create_task(parts.saving.write_until_cancelled(), name="group commit")
        await parts.chat.core.resume_waiting()
        parts.tasks.create_task(parts.telemetry.write_log_lines(), name="telemetry")
        parts.tasks.create_task(parts.telemetry.watch_loop(), name="lag of the event loop")
        await parts.history.load_last_hour()
        parts.tasks.create_task(parts.history.sample_until_cancelled(), name="history of figures")
        parts.tasks.create_task(self._keep_house(), name="housekeeping")
        parts.tasks.create_task(self._warm_up(), name="warm-up")
        if parts.auth.has_accounts:
            parts.tasks.create_task(parts.auth.gate.close_revoked(), name="who is here")
            parts.tasks.create_task(parts.auth.audit.write_entries(), name="audit")

    async def _stop_parts(self) -> None:
        parts = self.parts
        if not parts.runner.is_draining:  # ``wireside serve`` drains before it closes sockets
            await self.drain()
        await parts.saving.finish_writing(LAST_WRITES_S, write_s=WRITE_S)
        parts.pages.close()
        await parts.tasks.aclose()
        await parts.auth.audit.flush_entries()
        await parts.history.aclose()
        await parts.provider.aclose()
        await parts.limiter.aclose()
        await parts.store.aclose()
        if parts.tracer is not None:
            await parts.tracer.aclose()

    async def _warm_up(self) -> None:
        """Run slow one-time work ahead of the first request: imports, a connection, the model.

        Tables and patterns are computed in a worker thread, since answers may be running already.
        """
        await asyncio.sleep(WARM_UP_S)
        try:
            await self.parts.provider.warm_up()
            with suppress(WiresideError):
                await self.parts.catalog.list_models()
            await run_in_worker(words.prepare_tables)
            for label in highlighting.USUAL:
                await run_in_worker(highlighting.prepare, label)
        finally:
            self._is_warm.set()

    async def _keep_house(self) -> None:
        parts = self.parts
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            parts.runner.release_expired()
            await parts.store.look_after()
            try:
                await parts.chat.library.clean_up(parts.retention)
                await parts.files.remove_unused()
                if parts.auth.has_accounts:
                    await parts.auth.audit.remove_outdated(self.settings.audit_days)
            except StoreError:  # its cause has been logged by the store
                _log.warning("clean_up_failed")
