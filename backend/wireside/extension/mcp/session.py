"""One session with a server, from its opening to its end, by the package ``mcp``.

A task of its own opens the session, holds it and closes it, because the package ties a session to a
task. Requests are tasks as well: a caller that is cancelled returns at once, while the request
still tells the server that it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import pydantic
import structlog
from mcp.client import Client
from mcp.client.session import IncomingMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from wireside.extension.mcp.child_process import child_process_streams
from wireside.extension.mcp.http import LOST, http_streams
from wireside.extension.mcp.listing import MAX_TOOLS, ListedTool, listed_tool, within_limits
from wireside.extension.mcp.results import to_result
from wireside.extension.mcp.servers import McpServer, SessionExpired, SessionFailed
from wireside.extension.mcp.traffic import Streams, Throttle
from wireside.extension.parts import TooLargePart
from wireside.extension.tools import ToolFailed, ToolResult
from wireside.version import __version__

_log = structlog.get_logger(__name__)

OPEN_S: Final = 30.0
"""Time limit for opening a session; servers that are older than the protocol of 2026 may take 10 s
to ignore its first request."""

LIST_S: Final = 10.0
"""Time limit for the list of tools."""

CLOSE_S: Final = 4.0
"""Seconds after which a session that does not close is abandoned."""

MAX_PAGES: Final = 20
"""Number of pages of a list of tools that are requested."""

LISTEN_AGAIN_S: Final = 30.0
"""Seconds after which a lost subscription to changes is renewed."""

MAX_ERROR_CHARS: Final = 2_000

_RESULT: Final[pydantic.TypeAdapter[CallToolResult | InputRequiredResult]] = pydantic.TypeAdapter(
    CallToolResult | InputRequiredResult
)

T = TypeVar("T")


class McpSession:
    """A session with a server.

    Args:
        server: the server.
        on_tools_changed: called if the server reports that its tools have changed.
    """

    def __init__(self, server: McpServer, on_tools_changed: Callable[[], None]) -> None:
        self._server = server
        self._on_tools_changed = on_tools_changed
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._opened = asyncio.Event()
        self._ending = asyncio.Event()
        self._reason = ""
        """Why the session has ended, a sentence."""
        self._requests: set[asyncio.Task[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent."""
        return self._client is not None and not self._ending.is_set()

    @property
    def reason(self) -> str:
        """Why the session has ended, a sentence without secrets; "" if that is unknown."""
        return self._server.redacted(self._reason)[:MAX_ERROR_CHARS]

    async def open(self) -> None:
        """Open the session. Raises ``SessionFailed``."""
        self._task = asyncio.create_task(self._run(), name=f"MCP server {self._server.name}")
        opening = asyncio.create_task(self._opened.wait())
        try:
            await asyncio.wait({self._task, opening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opening.cancel()
        if not self.is_open:
            raise SessionFailed(self.reason or "It does not answer.")

    async def aclose(self) -> None:
        """Close the session; a process is ended."""
        self._end("The session is closed.")
        if self._task is None:
            return
        if not self._opened.is_set():
            self._task.cancel()
        _, running = await asyncio.wait({self._task}, timeout=CLOSE_S)
        if running:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)

    async def tools(self) -> list[ListedTool]:
        """Return the tools that the server lists, within limits. Raises ``SessionFailed``."""
        assert self._client is not None
        found: list[ListedTool] = []
        left_out = 0
        cursor: str | None = None
        try:
            async with asyncio.timeout(LIST_S):
                for _ in range(MAX_PAGES):
                    page = await self._request(self._client.list_tools(cursor=cursor))
                    for tool in page.tools[: MAX_TOOLS + 1 - len(found)]:
                        hints = tool.annotations
                        listed = listed_tool(
                            tool.name,
                            tool.description or tool.title or "",
                            tool.input_schema,
                            is_read_only=hints is not None and hints.read_only_hint is True,
                        )
                        if listed is None:
                            left_out += 1
                        else:
                            found.append(listed)
                    cursor = page.next_cursor
                    if not cursor or len(found) > MAX_TOOLS:
                        break
        except TimeoutError:
            raise SessionFailed("It does not list its tools in time.") from None
        except pydantic.ValidationError:
            raise SessionFailed("Its list of tools is invalid.") from None
        except MCPError as error:
            raise SessionFailed(self._sentence(error)) from None
        kept = within_limits(found)
        if left_out or cursor or len(kept) < len(found):
            _log.warning("mcp_tools_left_out", server=self._server.name, kept=len(kept))
        return kept

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Return the result of a tool.

        Raises:
            ToolFailed: the tool or the server reports an error, or the result is invalid.
            SessionExpired: the server does not know the session; the tool has not run.
            SessionFailed: the session has ended.
        """
        assert self._client is not None
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        try:
            # Not `call_tool`, which checks the result by the schema of the server: slowly, if its
            # patterns are made for that.
            result = await self._request(self._client.session.send_request(request, _RESULT))
        except pydantic.ValidationError:
            raise ToolFailed("The result of the tool is invalid.") from None
        except MCPError as error:
            raise ToolFailed(self._sentence(error)) from None
        if isinstance(result, InputRequiredResult):
            raise ToolFailed("The tool asks for further input, which is not supported.")
        try:
            read = to_result(result.content, result.structured_content)
        except TooLargePart:
            raise ToolFailed("The result of the tool is too large.") from None
        if result.is_error:
            text = self._server.redacted(read.text)
            raise ToolFailed(text[:MAX_ERROR_CHARS] or "The tool failed.")
        return read

    # ---- internals ---------------------------------------------------------------------------

    async def _run(self) -> None:
        """Open the session, hold it until its end, and close it."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(OPEN_S):
                    client = await stack.enter_async_context(self._new_client())
                self._client = client
                self._opened.set()
                watching = asyncio.create_task(self._watch_tools(client))
                try:
                    await self._ending.wait()
                finally:
                    watching.cancel()
        except TimeoutError:
            self._end("It does not answer in time.")
        except Exception as error:  # where the task ends
            self._end(_sentence_of(error))
        finally:
            self._end("The session is closed.")
            self._client = None

    def _new_client(self) -> Client:
        return Client(
            self._streams(),
            cache=None,
            message_handler=self._on_message,
            client_info=Implementation(name="wireside", version=__version__),
        )

    @asynccontextmanager
    async def _streams(self) -> AsyncGenerator[Streams]:
        throttle = Throttle()
        if self._server.url:
            async with http_streams(self._server, throttle) as streams:
                yield streams
        else:
            async with child_process_streams(
                self._server, throttle, is_open=self._opened.is_set, on_end=self._end
            ) as streams:
                yield streams

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._ending.set()

    async def _request(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a request. Raises ``SessionFailed`` if the session ends before."""
        request = asyncio.create_task(work)
        self._requests.add(request)
        request.add_done_callback(self._forget)
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({request, ending}, return_when=asyncio.FIRST_COMPLETED)
            if request.done() and not _is_closed(request):
                return request.result()
        except MCPError as error:
            if error.message != "Session terminated":
                raise
            self._end("The server does not know the session any more.")
            raise SessionExpired(self.reason) from None
        finally:
            request.cancel()
            ending.cancel()
        self._end("The connection was lost.")
        raise SessionFailed(self.reason)

    def _forget(self, request: asyncio.Task[Any]) -> None:
        self._requests.discard(request)
        if not request.cancelled():
            request.exception()  # that of a request whose caller is gone concerns nothing

    async def _on_message(self, message: IncomingMessage) -> None:
        """See the notifications of servers before the protocol of 2026."""
        if isinstance(message, ToolListChangedNotification):
            self._on_tools_changed()

    async def _watch_tools(self, client: Client) -> None:
        """Subscribe to changes of the tools, as the protocol of 2026 wants it."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        if tools is None or not tools.list_changed:
            return
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._on_tools_changed()
            except MCPError as error:
                if error.code == METHOD_NOT_FOUND:
                    return
            except Exception as error:  # a server that does not keep it is asked again
                _log.debug("mcp_subscription_lost", server=self._server.name, error=type(error))
            await asyncio.sleep(LISTEN_AGAIN_S)
            self._on_tools_changed()

    def _sentence(self, error: MCPError) -> str:
        if error.message.startswith(LOST):
            return f"The connection to the MCP server {self._server.name} was lost."
        text = self._server.redacted(error.message)[:MAX_ERROR_CHARS]
        return f"The MCP server {self._server.name} reports an error: {text}"


def _is_closed(request: asyncio.Task[Any]) -> bool:
    """Whether a request has failed because the connection was lost."""
    match None if request.cancelled() else request.exception():
        case MCPError(code=code, message="Connection closed"):
            return code == CONNECTION_CLOSED
    return False


def _sentence_of(error: BaseException) -> str:
    """Return what is wrong, by the first cause in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError):
        return "There is no such program or folder."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
