"""Keeps one session with a server: opens it when it is first needed, and again after its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import structlog

from wireside.extension.mcp.listing import ListedTool
from wireside.extension.mcp.servers import McpServer, SessionExpired, SessionFailed
from wireside.extension.tools import ToolFailed, ToolResult

if TYPE_CHECKING:  # it imports the package `mcp`, which is optional and large
    from wireside.extension.mcp.session import McpSession

_log = structlog.get_logger(__name__)

WAIT_S: Final = 5.0
"""Seconds for which answers wait for a server that is being opened; then they do without."""

MAX_BACK_OFF_S: Final = 300.0
"""Maximum number of seconds between two attempts to open a session."""

STABLE_S: Final = 60.0
"""Seconds after which the end of a session does not count as a failure to open it."""

REFRESH_S: Final = 5.0
"""Minimum number of seconds between two requests for the list of tools."""


class McpConnection:
    """The connection to a server, which outlives its sessions."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._session: McpSession | None = None
        self._tools: Sequence[ListedTool] = ()
        self._has_changed = True
        """Whether the tools must be listed again."""
        self._refreshing: asyncio.Task[None] | None = None
        self._failures = 0
        self._opened_at = 0.0
        self._began_at = 0.0
        """When the last attempt to open the session, or to list its tools, began."""
        self._retry_at = 0.0
        self._is_closed = False
        self.problem = ""
        """Why the server is not available, a sentence; "" if it is."""

    def refresh_soon(self) -> None:
        """Begin to open the session, or to list its tools, if that is necessary and due."""
        is_due = not self._is_closed and time.monotonic() >= self._retry_at
        is_fresh = self._is_open and not self._has_changed
        if is_due and not is_fresh and self._refreshing is None:
            self._began_at = time.monotonic()
            self._refreshing = asyncio.create_task(self._refresh())

    async def tools(self, *, wait_s: float | None = None) -> Sequence[ListedTool]:
        """Return the tools of the server; none if it is not available in time.

        Args:
            wait_s: seconds after which a server that is being opened is not waited for, counted
                from the beginning of that; by default ``WAIT_S``.
        """
        self.refresh_soon()
        until = self._began_at + (WAIT_S if wait_s is None else wait_s)
        if self._refreshing is not None and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait({self._refreshing}, timeout=left_s)
        return self._tools if self._is_open else ()

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Return the result of a tool. Raises ``ToolFailed``."""
        try:
            try:
                return await (await self._open_session()).call(tool, arguments)
            except SessionExpired:
                return await (await self._open_session()).call(tool, arguments)
        except SessionFailed:
            raise ToolFailed(
                f"The connection to the MCP server {self.server.name} was lost during the call."
            ) from None

    async def aclose(self) -> None:
        """Close the session, and end the process of the server."""
        self._is_closed = True
        if (refreshing := self._refreshing) is not None:
            refreshing.cancel()
            await asyncio.wait({refreshing})
        if self._session is not None:
            await self._session.aclose()

    # ---- internals ---------------------------------------------------------------------------

    @property
    def _is_open(self) -> bool:
        return self._session is not None and self._session.is_open

    async def _open_session(self) -> McpSession:
        """Return the session, which is opened if that is due. Raises ``ToolFailed``."""
        if not self._is_open:
            await self.tools()
        if self._session is None or not self._session.is_open:
            raise ToolFailed(f"The MCP server {self.server.name} is not available.")
        return self._session

    async def _refresh(self) -> None:
        """Open the session if there is none, and list the tools."""
        ended = None if self._is_open else self._session
        try:
            if ended is not None and not await self._may_reopen(ended):
                return
            if self._session is None:
                self._session = await self._new_session()
                self._opened_at = time.monotonic()
                await self._session.open()
            self._has_changed = False  # before the request: a change during it is seen
            self._tools = await self._session.tools()
            self.problem = ""
            self._retry_at = time.monotonic() + REFRESH_S
            _log.info("mcp_tools_listed", server=self.server.name, tools=len(self._tools))
            self._warn_of_unknown_names()
        except SessionFailed as error:
            await self._fail(str(error))
        except Exception as error:  # where the task ends
            _log.error("mcp_server_failed", server=self.server.name, exc_info=error)
            await self._fail("It failed unexpectedly.")
        finally:
            self._refreshing = None

    async def _new_session(self) -> McpSession:
        """Return a session that is not open yet; the first one imports the package ``mcp``."""
        await asyncio.to_thread(import_module, "wireside.extension.mcp.session")  # takes a second
        from wireside.extension.mcp.session import McpSession

        return McpSession(self.server, self._note_change)

    async def _may_reopen(self, ended: McpSession) -> bool:
        """Close a session that has ended; return whether a new one may be opened now."""
        self._session = None
        self._has_changed = True
        await ended.aclose()
        lived_s = time.monotonic() - self._opened_at
        _log.warning("mcp_session_ended", server=self.server.name, reason=ended.reason)
        if lived_s >= STABLE_S:
            self._failures = 0
            return True
        self._failures += 1
        self._retry_at = self._opened_at + self._delay_s
        return time.monotonic() >= self._retry_at

    async def _fail(self, reason: str) -> None:
        """Note a failure. A session whose tools were listed before is kept, its calls may run."""
        self.problem = reason
        self._has_changed = True
        self._failures += 1
        _log.warning(
            "mcp_server_unavailable",
            server=self.server.name,
            reason=reason,
            retry_s=round(self._delay_s),
        )
        if self._session is not None and not (self._tools and self._session.is_open):
            session, self._session = self._session, None
            await session.aclose()
        self._retry_at = time.monotonic() + self._delay_s

    @property
    def _delay_s(self) -> float:
        return min(2.0 ** min(self._failures - 1, 9), MAX_BACK_OFF_S)

    def _warn_of_unknown_names(self) -> None:
        """Warn if ``approve`` names a tool that does not exist: the one that is meant is open."""
        approve = self.server.approve
        if approve is None or isinstance(approve, bool):
            return
        if unknown := sorted(set(approve) - {tool.name for tool in self._tools}):
            _log.warning("mcp_approve_unknown_tool", server=self.server.name, tools=unknown[:10])

    def _note_change(self) -> None:
        self._has_changed = True
