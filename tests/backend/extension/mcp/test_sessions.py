"""A session with a server of the package ``mcp``, as a child process."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.backend.extension.mcp.conftest import Open, by_name, raw_server
from wireside import McpServer
from wireside.extension.mcp import connection
from wireside.extension.parts import Image
from wireside.extension.tools import ToolFailed, ToolResult

pytestmark = pytest.mark.slow


async def until(is_met: object, seconds: float = 10.0) -> None:
    """Wait until a function returns something true."""
    assert callable(is_met)
    async with asyncio.timeout(seconds):
        while not is_met():
            await asyncio.sleep(0.02)


async def test_tools_are_listed_with_schema_and_approval(
    package_server: McpServer, open_tools: Open
) -> None:
    tools = await by_name(open_tools(package_server))
    add = tools["demo_add"]
    assert add.spec.description == "Add two numbers."
    schema = json.loads(add.spec.parameters)
    assert schema["required"] == ["a"]
    assert schema["properties"]["b"]["default"] == 1
    assert not add.approve
    assert tools["demo_write"].approve, "it does not say that it only reads"


async def test_a_wrong_name_in_approve_is_reported(
    package_server: McpServer, open_tools: Open
) -> None:
    server = replace(package_server, approve=["wirte"])
    with capture_logs() as logs:
        tools = await by_name(open_tools(server))
    assert not tools["demo_write"].approve
    (warning,) = [log for log in logs if log["event"] == "mcp_approve_unknown_tool"]
    assert warning["tools"] == ["wirte"]


async def test_no_more_tools_are_offered_than_services_accept(open_tools: Open) -> None:
    many = open_tools(raw_server("many tools"), McpServer("b", command=raw_server("good").command))
    with capture_logs() as logs:
        assert len(await many.tools(["own"] * 20)) == 80
        await many.tools(["own"] * 20)
    assert [log["left_out"] for log in logs if "left_out" in log] == [21]


async def test_results_are_text_structure_and_images(
    package_server: McpServer, open_tools: Open
) -> None:
    tools = await by_name(open_tools(package_server))
    assert await tools["demo_add"].run({"a": 1, "b": 2}) == ToolResult("3")
    person = await tools["demo_person"].run({"name": "Ada"})
    assert json.loads(person.text) == {"name": "Ada", "age": 36}
    drawn = await tools["demo_draw"].run({})
    assert drawn.text == "A pixel:\n\n(The user sees an image.)"
    (image,) = drawn.shown
    assert isinstance(image, Image)
    assert image.media_type == "image/png"
    with pytest.raises(ToolFailed, match="The office is closed"):
        await tools["demo_refuse"].run({})
    with pytest.raises(ToolFailed, match="valid integer"):
        await tools["demo_add"].run({"a": "x"})


async def test_links_are_named_and_not_followed(
    package_server: McpServer, open_tools: Open
) -> None:
    asked: list[bytes] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(trap, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
        server = McpServer(
            "demo", command=package_server.command, env={**package_server.env, "TRAP": url}
        )
        tools = await by_name(open_tools(server))
        result = await tools["demo_links"].run({})
        await asyncio.sleep(0.2)
    assert result.text == f"[link: trap, {url}]\n\nfile:///notes.txt:\n\nBuy milk.\n\nEnd."
    assert not asked


async def test_a_child_gets_no_secret_of_the_server(
    package_server: McpServer, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    tools = await by_name(open_tools(package_server))
    names = (await tools["demo_environment"].run({})).text
    assert "NOTES" in names
    assert "OPENAI_API_KEY" not in names


async def test_a_cancelled_call_is_cancelled_at_the_server(
    package_server: McpServer, open_tools: Open, notes: Path
) -> None:
    tools = await by_name(open_tools(package_server))
    calling = asyncio.create_task(tools["demo_wait"].run({}))
    await until(lambda: "waiting" in notes.read_text())
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await calling
    await until(lambda: "cancelled" in notes.read_text())
    assert (await tools["demo_add"].run({"a": 1})).text == "2", "the session goes on"


async def test_a_death_fails_the_calls_and_the_session_is_reopened(
    package_server: McpServer, open_tools: Open, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STABLE_S", 0.0)
    all_tools = open_tools(package_server)
    tools = await by_name(all_tools)
    waiting = asyncio.create_task(tools["demo_wait"].run({}))
    await until(lambda: "waiting" in notes.read_text())
    with pytest.raises(ToolFailed, match="was lost during the call"):
        await tools["demo_die"].run({})
    with pytest.raises(ToolFailed, match="was lost during the call"):
        await waiting
    all_tools.connections[0]._retry_at = 0.0
    assert (await tools["demo_add"].run({"a": 1})).text == "2"
    assert "demo_add" in await by_name(all_tools)


async def test_reopening_backs_off(
    package_server: McpServer, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    monkeypatch.setattr(connection.McpConnection, "_delay_s", 300.0)
    all_tools = open_tools(package_server)
    tools = await by_name(all_tools)
    with pytest.raises(ToolFailed):
        await tools["demo_die"].run({})
    assert not await by_name(all_tools), "it has died at once, so it is not started again at once"
    with pytest.raises(ToolFailed, match="not available"):
        await tools["demo_add"].run({"a": 1})


def test_the_pause_after_failures_is_bounded() -> None:
    opened = connection.McpConnection(McpServer("x", command=["x"]))
    for failures, delay_s in ((1, 1), (2, 2), (5, 16), (10, 300), (10_000, 300)):
        opened._failures = failures
        assert opened._delay_s == delay_s


async def test_new_tools_are_seen(
    package_server: McpServer, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REFRESH_S", 0.0)
    all_tools = open_tools(package_server)
    tools = await by_name(all_tools)
    await asyncio.sleep(0.5)  # the subscription
    await tools["demo_grow"].run({})
    async with asyncio.timeout(10):
        while "demo_added" not in await by_name(all_tools):
            await asyncio.sleep(0.05)


async def test_a_large_result_fails_its_call_only(
    package_server: McpServer, open_tools: Open
) -> None:
    tools = await by_name(open_tools(package_server))
    calling = asyncio.create_task(tools["demo_large"].run({"megabytes": 50}))
    assert await tools["demo_add"].run({"a": 1}) == ToolResult("2")
    with pytest.raises(ToolFailed, match="more than 4 MB"):
        await calling
    assert len((await tools["demo_large"].run({"megabytes": 1})).text) < 110_000


async def test_progress_and_standard_error_do_not_disturb_a_call(
    package_server: McpServer, open_tools: Open
) -> None:
    tools = await by_name(open_tools(package_server))
    assert (await tools["demo_chatter"].run({"count": 300})).text == "Done."


async def test_the_end_leaves_no_process(package_server: McpServer, open_tools: Open) -> None:
    before = children()
    all_tools = open_tools(package_server)
    await by_name(all_tools)
    (process,) = children() - before
    async with asyncio.timeout(30):
        await all_tools.aclose()
    assert process not in children()
    assert not await by_name(all_tools), "it is not opened again"


def children() -> set[int]:
    """Return the ids of the child processes that run an MCP server, zombies included."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parent == os.getpid() and (b"programs/" in command or not command):
            found.add(int(folder.name))
    return found
