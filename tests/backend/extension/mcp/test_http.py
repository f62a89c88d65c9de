"""Sessions by streamable HTTP: with the package's own server, and with one that misbehaves."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.backend.extension.mcp.conftest import PROGRAMS, Open, by_name
from tests.backend.extension.mcp.raw_http import raw_http
from tests.backend.extension.mcp.test_hostile_servers import GOOD, call, responsive
from tests.backend.extension.mcp.test_sessions import until
from wireside import McpServer
from wireside.extension.mcp import connection, http, session
from wireside.extension.tools import ToolFailed, ToolResult

pytestmark = pytest.mark.slow


@asynccontextmanager
async def serving_package(notes: Path, *options: str) -> AsyncIterator[str]:
    """Yield the address of a server of the package ``mcp`` in a process of its own."""
    command = [sys.executable, str(PROGRAMS / "server.py"), "--http", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env={"NOTES": str(notes)})
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    yield f"http://127.0.0.1:{port}/mcp"
    with suppress(ProcessLookupError):  # a test may have ended it
        process.kill()
    await process.wait()


@pytest.fixture
async def package_url(notes: Path) -> AsyncIterator[str]:
    """Return the address of a server that answers by event streams."""
    async with serving_package(notes) as url:
        yield url


async def test_a_server_of_the_package(
    package_url: str, open_tools: Open, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    all_tools = open_tools(McpServer("crm", url=package_url))
    tools = await by_name(all_tools)
    assert await tools["crm_add"].run({"a": 1, "b": 2}) == ToolResult("3")
    assert (await tools["crm_draw"].run({})).shown
    with pytest.raises(ToolFailed, match="closed"):
        await tools["crm_refuse"].run({})
    with pytest.raises(ToolFailed, match=r"SSE stream|more than 4 MB"):
        await tools["crm_large"].run({"megabytes": 50})
    assert (await tools["crm_chatter"].run({"count": 300})).text == "Done."

    calling = asyncio.create_task(tools["crm_wait"].run({}))
    await until(lambda: "waiting" in notes.read_text())
    calling.cancel()
    await until(lambda: "cancelled" in notes.read_text())

    await tools["crm_grow"].run({})
    async with asyncio.timeout(10):
        while "crm_added" not in await by_name(all_tools):
            await asyncio.sleep(0.05)

    with pytest.raises(ToolFailed, match=r"was lost|SSE stream"):
        await tools["crm_die"].run({})
    with pytest.raises(ToolFailed):
        await tools["crm_add"].run({"a": 1})


async def test_a_call_that_is_not_answered_ends_no_other_call(
    open_tools: Open, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", httpx2.Timeout(15.0, read=2.0))
    async with serving_package(notes, "--json") as url:
        tools = await by_name(open_tools(McpServer("crm", url=url)))
        with capture_logs() as logs:
            hanging = asyncio.create_task(tools["crm_wait"].run({}))
            await until(lambda: "waiting" in notes.read_text())
            await asyncio.sleep(1)
            later = asyncio.create_task(tools["crm_wait"].run({}))
            with pytest.raises(ToolFailed, match="was lost"):
                await hanging
            assert not later.done()
            assert await tools["crm_add"].run({"a": 1, "b": 2}) == ToolResult("3")
            with pytest.raises(ToolFailed, match="was lost"):
                await later
        assert "mcp_session_ended" not in str(logs)


@pytest.mark.parametrize("method", ["tools/call", "notifications/cancelled"])
async def test_a_cancelled_call_that_hangs_ends_no_session(
    method: str, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the call itself, until its time limit, nor the notification that it is cancelled."""
    monkeypatch.setattr(http, "TIMEOUT", httpx2.Timeout(15.0, read=1.0))
    monkeypatch.setattr(http, "NOTIFY_S", 0.5)
    async with raw_http("hang", method=method) as server:
        tools = await by_name(open_tools(McpServer("raw", url=server.url)))
        if method != "tools/call":
            server.method = "tools/call"
        calling = asyncio.create_task(call(tools))
        await until(lambda: server.methods.count("tools/call") == 1)
        server.method = method
        calling.cancel()
        await until(lambda: "notifications/cancelled" in server.methods)
        await asyncio.sleep(1.5)
        server.habit = ""
        assert await call(tools) == GOOD
        assert server.methods.count("initialize") == 1


async def test_a_body_that_breaks_off_ends_no_session(open_tools: Open) -> None:
    async with raw_http("broken body") as server:
        tools = await by_name(open_tools(McpServer("raw", url=server.url)))
        with pytest.raises(ToolFailed, match=r"was lost|Connection lost"):
            await call(tools)
        server.habit = ""
        assert await call(tools) == GOOD
        assert server.methods.count("initialize") == 1


async def test_header_fields_are_sent_to_the_server_only(open_tools: Open) -> None:
    async with raw_http() as server:
        headers = {"Authorization": "Bearer sesame"}
        tools = await by_name(open_tools(McpServer("raw", url=server.url, headers=headers)))
        assert await call(tools) == GOOD
    assert {fields.get("authorization") for _, fields, _ in server.requests} == {"Bearer sesame"}


@pytest.mark.parametrize("method", ["tools/call", "tools/list", "initialize"])
async def test_a_redirect_to_another_host_is_not_followed(method: str, open_tools: Open) -> None:
    async with raw_http() as trap, raw_http("redirect", method=method) as server:
        for elsewhere in (trap.url, trap.url.replace("127.0.0.1", "localhost"), "file:///etc/x"):
            server.elsewhere = elsewhere
            all_tools = open_tools(McpServer("raw", url=server.url, headers={"X-Key": "sesame"}))
            tools = await by_name(all_tools)
            if method == "tools/call":
                with pytest.raises(ToolFailed):
                    await call(tools)
            else:
                assert not tools
        assert method in server.methods
        assert not trap.requests


@pytest.mark.parametrize(
    "habit",
    [
        "hang",
        "500",
        "404",
        "reset",
        "html",
        "not json",
        "202",
        "wrong id",
        "large",
        "large event",
        "events without end",
        "bytes without end",
        "bomb",
        "broken stream",
    ],
)
async def test_a_call_fails_in_time_and_the_next_one_works(
    habit: str, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STABLE_S", 0.0)
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    async with raw_http(habit) as server:
        tools = await by_name(open_tools(McpServer("raw", url=server.url)))
        async with responsive():
            with pytest.raises((ToolFailed, TimeoutError)) as failure:
                await call(tools)
        assert len(str(failure.value)) < 3_000
        server.habit = ""
        assert await call(tools) == GOOD


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
@pytest.mark.parametrize("habit", ["hang", "500", "reset", "html", "not json", "large", "bomb"])
async def test_a_server_that_can_not_be_used_offers_no_tools(
    habit: str, method: str, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "OPEN_S", 2.0)
    monkeypatch.setattr(session, "LIST_S", 2.0)
    async with raw_http(habit, method=method) as server:
        tools = open_tools(McpServer("raw", url=server.url))
        with capture_logs() as logs:
            async with responsive():
                assert not await by_name(tools)
        (warning,) = [log for log in logs if log["event"] == "mcp_server_unavailable"]
        assert warning["reason"]


async def test_a_session_that_the_server_has_forgotten_is_opened_again(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STABLE_S", 0.0)
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    async with raw_http() as server:
        tools = await by_name(open_tools(McpServer("raw", url=server.url)))
        server.session = "two"
        assert await call(tools) == GOOD
        assert server.methods.count("initialize") == 2


async def test_changes_are_seen_on_the_stream_of_older_servers(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    async with raw_http("changes") as server:
        tools = open_tools(McpServer("raw", url=server.url))
        await by_name(tools)
        async with asyncio.timeout(10):
            while server.methods.count("tools/list") < 2:
                await asyncio.sleep(0.05)
                await by_name(tools)


async def test_an_address_at_which_nothing_listens(open_tools: Open) -> None:
    url = "http://127.0.0.1:9/mcp?key=sesame"
    tools = open_tools(McpServer("raw", url=url, headers={"X-Key": "sesame"}))
    with capture_logs() as logs:
        assert not await by_name(tools)
    assert "mcp_server_unavailable" in str(logs)
    assert "sesame" not in str(logs)


async def test_a_server_that_hangs_at_the_end_does_not_hold_the_end(open_tools: Open) -> None:
    async with raw_http() as server:
        all_tools = open_tools(McpServer("raw", url=server.url))
        await by_name(all_tools)
        server.habit, server.method = "hang", "tools/call"
        began = time.monotonic()
        await all_tools.aclose()
        assert time.monotonic() - began < 6
