"""An MCP server of the package ``mcp``, by standard input and output, or by HTTP with ``--http``.

By HTTP it prints its port; with ``--json``, it answers by JSON instead of event streams. ``NOTES``
in the environment is a file to which tools append.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READ_ONLY = ToolAnnotations(read_only_hint=True)

server = MCPServer("demo")


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")


@server.tool(annotations=READ_ONLY)
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=READ_ONLY)
def person(name: str) -> dict[str, Any]:
    """Return a person."""
    return {"name": name, "age": 36}


@server.tool(annotations=READ_ONLY, structured_output=False)
def draw() -> list[Any]:
    """Draw a pixel."""
    return ["A pixel:", Image(data=PIXEL)]


@server.tool(annotations=READ_ONLY, structured_output=False)
def links() -> list[Any]:
    """Return links."""
    text = TextResourceContents(uri="file:///notes.txt", text="Buy milk.")
    return [
        ResourceLink(type="resource_link", name="trap", uri=os.environ.get("TRAP", "http://x/")),
        EmbeddedResource(type="resource", resource=text),
        TextContent(type="text", text="End."),
    ]


@server.tool()
def write(text: str) -> str:
    """Write a note."""
    note(text)
    return "Written."


@server.tool(annotations=READ_ONLY)
def refuse() -> str:
    """Fail."""
    raise ToolError("The office is closed.")


@server.tool(annotations=READ_ONLY)
async def wait() -> str:
    """Wait until the call is cancelled."""
    note("waiting")
    try:
        await asyncio.sleep(3600)
    except BaseException:
        note("cancelled")
        raise
    return ""


@server.tool(annotations=READ_ONLY)
def large(megabytes: int) -> str:
    """Return a large text."""
    return "x" * (megabytes * 1_000_000)


@server.tool(annotations=READ_ONLY)
async def chatter(count: int, ctx: Context) -> str:
    """Log and report progress many times."""
    for number in range(count):
        await ctx.report_progress(number, count, "x" * 100)
        sys.stderr.write("x" * 1_000 + "\n")
    return "Done."


@server.tool(annotations=READ_ONLY)
async def grow(ctx: Context) -> str:
    """Add a tool."""
    server.add_tool(lambda: "new", name="added", description="New.", annotations=READ_ONLY)
    await ctx.notify_tools_changed()
    return "Grown."


@server.tool(annotations=READ_ONLY)
def environment() -> list[str]:
    """Return the names of the environment's variables."""
    return sorted(os.environ)


@server.tool(annotations=READ_ONLY)
def die() -> str:
    """End the process."""
    os._exit(3)


def serve_http() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        server.streamable_http_app(json_response="--json" in sys.argv), log_level="warning"
    )
    asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    if "--http" in sys.argv:
        serve_http()
    else:
        server.run()
