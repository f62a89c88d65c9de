"""The application: its parts, their start and end, and the ASGI application that they serve."""

from __future__ import annotations

import asyncio
import time
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
from wireside_ui.nicegui_socket import move_pages

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

PROGRESS_S = 10.0
"""Seconds between two log lines about what a stopping server waits for."""

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

    def announce_stop(self) -> None:
        """Answer readiness checks with 503 from now on."""
        self.parts.departure.announce()

    async def move_clients(self, within_s: float) -> None:
        """Let clients connect to another server: close raw sockets with 1012, reload pages."""
        parts = self.parts
        _log.info(
            "moving_clients",
            sockets=parts.departure.open_count,
            pages=parts.pages.count_connected(),
            answers=parts.runner.live_count,
        )
        await asyncio.gather(
            parts.departure.move_clients(within_s), move_pages(parts.pages, within_s)
        )

    async def drain(self) -> None:
        """Give running answers time to end, then interrupt them.

        One of several servers still accepts what its last clients ask, as it must not fail for
        them; a single one refuses new questions at once.
        """
        limit_s = self.settings.effective_drain_s
        last_s = min(MAX_LAST_FRAMES_S, limit_s * LAST_FRAMES_SHARE)
        progress = asyncio.create_task(self._log_progress(), name="progress of the drain")
        until = time.monotonic() + limit_s - last_s
        try:
            if self.settings.replicas:
                await self.parts.runner.wait_idle(limit_s - last_s)
            await self.parts.runner.drain(max(0.0, until - time.monotonic()))
        finally:
            progress.cancel()
        await asyncio.sleep(last_s / 10)  # lets the writer tasks run before sockets close

    def cut_drain_short(self) -> None:
        """Interrupt the running answers now."""
        self.parts.runner.cut_drain_short()

    @property
    def replica_id(self) -> str | None:
        """The id of this server as a replica; None while it has none."""
        membership = self.parts.membership
        return membership.replica_id if membership is not None and membership.is_joined else None

    def handle_ended_worker(self, replica_id: str) -> None:
        """Let another worker's answers be taken over at once, without waiting for its beat."""
        if (membership := self.parts.membership) is not None:
            removal = membership.remove_ended(replica_id)
            self.parts.tasks.create_task(removal, name="remove ended worker")

    async def _log_progress(self) -> None:
        while True:
            parts = self.parts
            _log.info(
                "draining",
                answers=parts.runner.live_count,
                sockets=parts.departure.open_count,
                pages=parts.pages.count_connected(),
            )
            await asyncio.sleep(PROGRESS_S)

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
        if not parts.cookie_key.is_known:
            parts.cookie_key.value = await parts.store.server_keys.get_or_create("cookies")
        await parts.administration.load()
        if parts.membership is not None:
            await parts.membership.join()
            await parts.store.warn_of_few_connections(len(parts.membership.replicas))
            parts.tasks.create_task(parts.membership.beat_until_cancelled(), name="replica's beat")
        if parts.auth.gate.mode == "password" and await self._makes_first_link():
            self.first_link = await parts.auth.accounts.first_link()
        parts.tasks.create_task(parts.saving.write_until_cancelled(), name="group commit")
        if parts.membership is None:
            await parts.chat.core.resume_waiting()
        else:
            is_due = asyncio.Event()
            parts.membership.call_after_removal(is_due.set)
            parts.chat.core.may_take_over = self._may_take_over
            work = parts.chat.core.take_over_until_cancelled(is_due)
            parts.tasks.create_task(work, name="take over")
        if parts.peers is not None:
            parts.peers.start()
        if parts.chat.core.is_shared:
            parts.tasks.create_task(
                parts.chat.core.look_until_cancelled(), name="look at the store"
            )
        parts.tasks.create_task(
            parts.administration.follow_until_cancelled(), name="administration"
        )
        parts.tasks.create_task(parts.usage.flush_until_cancelled(), name="usage")
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
        if parts.membership is not None:
            await parts.membership.leave()
        await parts.usage.flush()
        await parts.auth.audit.flush_entries()
        await parts.history.aclose()
        await parts.provider.aclose()
        await parts.limiter.aclose()
        await parts.store.aclose()
        if parts.tracer is not None:
            await parts.tracer.aclose()

    @property
    def _is_leader(self) -> bool:
        """Whether the server does what one of several on a database has to do."""
        return self.parts.membership is None or self.parts.membership.is_leader

    async def _makes_first_link(self) -> bool:
        """Return whether this server makes the link that creates the first administrator.

        Each new link invalidates the one before: of several servers, the leader makes it.
        """
        membership = self.parts.membership
        if membership is None or membership.is_leader:
            return True
        if await self.parts.auth.accounts.exist():
            return False
        return await membership.wait_for_leader()

    def _may_take_over(self) -> bool:
        """Return whether this server begins what removed replicas have left."""
        parts = self.parts
        is_joined = parts.membership is None or parts.membership.is_joined
        return is_joined and not parts.is_draining

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
            if not self._is_leader:
                continue
            try:
                await parts.chat.library.clean_up(parts.retention)
                await parts.files.remove_unused()
                if parts.auth.has_accounts:
                    await parts.auth.audit.remove_outdated(self.settings.audit_days)
            except StoreError:  # its cause has been logged by the store
                _log.warning("clean_up_failed")
