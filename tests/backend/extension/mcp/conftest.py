"""MCP servers for tests: programs that are started as a server of the settings would be."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from wireside import McpServer
from wireside.extension.mcp import connection, session
from wireside.extension.mcp.tools import McpTools
from wireside.extension.tools import Tool

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Return the file in which the tools of a server write notes."""
    file = tmp_path / "notes"
    file.touch()
    return file


@pytest.fixture
def package_server(notes: Path) -> McpServer:
    """Return a server that is made with the package ``mcp``."""
    command = [sys.executable, str(PROGRAMS / "server.py")]
    return McpServer("demo", command=command, env={"NOTES": str(notes)})


def raw_server(habit: str, **more: Any) -> McpServer:
    """Return a server that is made without the package ``mcp``."""
    return McpServer("raw", command=[sys.executable, str(PROGRAMS / "raw.py"), habit], **more)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test wait as long as a busy machine needs to start a server and to list its tools."""
    monkeypatch.setattr(connection, "WAIT_S", 40.0)
    monkeypatch.setattr(session, "OPEN_S", 40.0)
    monkeypatch.setattr(session, "LIST_S", 40.0)


Open = Callable[..., McpTools]


@pytest.fixture
async def open_tools() -> AsyncIterator[Open]:
    """Return a function that returns the tools of servers; they are closed after the test."""
    all_tools: list[McpTools] = []

    def open_them(*servers: McpServer) -> McpTools:
        all_tools.append(McpTools(servers))
        return all_tools[-1]

    yield open_them
    await asyncio.gather(*(tools.aclose() for tools in all_tools))


async def by_name(tools: McpTools) -> dict[str, Tool]:
    """Return the tools that are available, by name."""
    return {tool.spec.name: tool for tool in await tools.tools(())}
