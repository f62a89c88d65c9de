"""The tools of MCP servers, as those of a chat."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from importlib.util import find_spec

import structlog

from wireside.errors import missing_extra
from wireside.extension.mcp.connection import McpConnection
from wireside.extension.mcp.listing import MAX_TOOLS, ListedTool, name_for_models
from wireside.extension.mcp.servers import McpServer
from wireside.extension.tools import Tool, ToolSource
from wireside.messages import ToolSpec

_log = structlog.get_logger(__name__)


class McpTools(ToolSource):
    """The tools of some servers, each in a session that is opened when it is first needed.

    Args:
        servers: the servers.

    Raises:
        NotConfigured: the extra ``mcp`` is not installed.
        ValueError: two servers have the same name.
    """

    def __init__(self, servers: Sequence[McpServer]) -> None:
        if find_spec("mcp") is None:
            raise missing_extra("An MCP server", "mcp")
        self._has_warned = False
        self._names = [server.name for server in servers]
        for name in self._names:
            if self._names.count(name) > 1:
                raise ValueError(f"There are two MCP servers called {name!r}: rename one.")
        self.connections = [McpConnection(server) for server in servers]

    def open_soon(self) -> None:
        """Begin to open the sessions, so that the first answer does not wait for them."""
        for connection in self.connections:
            connection.refresh_soon()

    async def tools(self, taken: Collection[str]) -> list[Tool]:
        """See ``ToolSource``. Servers that are not available are left out."""
        listed = await asyncio.gather(*(connection.tools() for connection in self.connections))
        names = set(taken)
        found: list[Tool] = []
        for connection, of_server in zip(self.connections, listed, strict=True):
            for tool in of_server:
                made = self._tool(connection, tool, names)
                if made.spec.name not in names:
                    names.add(made.spec.name)
                    found.append(made)
        room = max(0, MAX_TOOLS - len(taken))
        if len(found) > room and not self._has_warned:
            self._has_warned = True
            _log.warning("mcp_tools_left_out", kept=room, left_out=len(found) - room)
        return found[:room]

    async def aclose(self) -> None:
        """Close all sessions, and end the processes of the servers."""
        await asyncio.gather(*(connection.aclose() for connection in self.connections))

    def _tool(self, connection: McpConnection, tool: ListedTool, taken: Collection[str]) -> Tool:
        server = connection.server
        name = name_for_models(server.name, tool.name, servers=self._names, taken=taken)
        return Tool(
            spec=ToolSpec(name=name, description=tool.description, parameters=tool.schema),
            run=partial(connection.call, tool.name),
            approve=server.needs_approval(tool.name, is_read_only=tool.is_read_only),
        )
