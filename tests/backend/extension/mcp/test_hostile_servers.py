"""Servers that hang, lie, flood and die: real processes, which do what the package refuses to do.

None of them may hold an answer, the event loop or memory, and each failure is a sentence.
"""

from __future__ import annotations

import asyncio
import re
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.backend.extension.mcp.conftest import Open, by_name, raw_server
from tests.backend.extension.mcp.test_sessions import children, until
from wireside import McpServer
from wireside.extension.mcp import child_process, connection, session
from wireside.extension.mcp.child_process import LineSplitter, LongLine
from wireside.extension.tools import ToolFailed, ToolResult

pytestmark = pytest.mark.slow

GOOD = ToolResult("Result.")


@asynccontextmanager
async def responsive() -> AsyncIterator[None]:
    """Check that the event loop is never held for long, and memory stays small."""
    worst_s = 0.0
    before = memory_kb()

    async def tick() -> None:
        nonlocal worst_s
        while True:
            began = time.thread_time()  # not the time that other processes take
            await asyncio.sleep(0.01)
            worst_s = max(worst_s, time.thread_time() - began)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
    assert worst_s < 0.5, f"the event loop was held for {worst_s:.2f} s"
    assert memory_kb() - before < 150_000


def memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def call(tools: object, **arguments: object) -> object:
    """Call the tool of a raw server, with a time limit that only a hanging call reaches."""
    assert isinstance(tools, dict)
    async with asyncio.timeout(30):
        return await tools["raw_call"].run(arguments)


async def call_in_vain(tools: object, **arguments: object) -> None:
    """Call a tool that does not answer, with a time limit as ``ToolLoop`` has one."""
    assert isinstance(tools, dict)
    with pytest.raises((TimeoutError, ToolFailed)):
        async with asyncio.timeout(3):
            await tools["raw_call"].run(arguments)


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("hang at initialize", "does not answer in time"),
        ("hang at list", "does not list its tools in time"),
        ("no list", "list of tools is invalid"),
        ("no schema", "list of tools is invalid"),
        ("10 MB schema", "more than 4 MB"),
        ("ends at once", "exit code 1"),
        ("surrogates", "response is invalid"),
    ],
)
async def test_a_server_that_can_not_be_used_offers_no_tools(
    habit: str, reason: str, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    if habit.startswith("hang"):
        monkeypatch.setattr(session, "OPEN_S", 3.0)
        monkeypatch.setattr(session, "LIST_S", 3.0)
    monkeypatch.setattr(connection, "WAIT_S", 30.0)
    tools = open_tools(raw_server(habit))
    with capture_logs() as logs:
        async with responsive():
            assert not await by_name(tools)
    (warning,) = [log for log in logs if log["event"] == "mcp_server_unavailable"]
    assert reason in warning["reason"]
    assert warning["retry_s"] == 1, "it is not tried again at once"


async def test_an_answer_waits_for_a_slow_server_for_a_while_only(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.2)
    tools = open_tools(raw_server("hang at initialize"))
    monkeypatch.setattr(session, "OPEN_S", 60.0)
    async with asyncio.timeout(30):  # far less than the server would be waited for
        assert not await by_name(tools)
        assert not await by_name(tools)


async def test_a_program_that_does_not_exist_is_named(open_tools: Open) -> None:
    tools = open_tools(McpServer("x", command=["no-such-program", "--key=sesame"]))
    with capture_logs() as logs:
        assert not await by_name(tools)
    assert "no such program" in logs[0]["reason"]
    assert "sesame" not in str(logs)


async def test_a_package_that_can_not_be_imported_leaves_the_tools_out(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(connection, "import_module", fail)
    with capture_logs() as logs:
        assert not await by_name(open_tools(raw_server("good")))
    assert [log["event"] for log in logs] == ["mcp_server_failed", "mcp_server_unavailable"]


@pytest.mark.parametrize(
    ("habit", "sentence"),
    [
        ("invalid result", "result of the tool is invalid"),
        ("die in call", "was lost during the call"),
        ("close in call", "was lost during the call"),
        ("closes its input", "was lost during the call"),
        ("long line", "more than 4 MB"),
    ],
)
async def test_a_call_fails_with_a_sentence(habit: str, sentence: str, open_tools: Open) -> None:
    tools = await by_name(open_tools(raw_server(habit)))
    async with responsive():
        with pytest.raises(ToolFailed, match=sentence):
            await call(tools)


@pytest.mark.parametrize(
    "habit", ["hang in call", "wrong ids", "no result", "flood", "ask the client", "endless line"]
)
async def test_a_call_without_an_answer_ends_in_time(
    habit: str, open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "MAX_SKIPPED_BYTES", 64 * 2**20)
    tools = await by_name(open_tools(raw_server(habit)))
    async with responsive():
        await call_in_vain(tools)


async def test_a_server_that_does_not_read_holds_nothing(open_tools: Open) -> None:
    all_tools = open_tools(raw_server("hang in call"))
    tools = await by_name(all_tools)
    async with responsive():
        for _ in range(2):  # the second one can't even be written
            await call_in_vain(tools, text="x" * 1_000_000)
    async with asyncio.timeout(30):
        await all_tools.aclose()


async def test_a_flood_does_not_fill_memory_and_the_others_go_on(open_tools: Open) -> None:
    floods, good = open_tools(raw_server("flood")), open_tools(raw_server("good"))
    flooding, calm = await by_name(floods), await by_name(good)
    calling = asyncio.create_task(call_in_vain(flooding))
    async with responsive():
        for _ in range(30):
            assert await call(calm) == GOOD
            await asyncio.sleep(0.05)
    await calling


async def test_what_is_no_message_is_skipped(open_tools: Open) -> None:
    tools = await by_name(open_tools(raw_server("talks nonsense")))
    assert await call(tools) == GOOD


async def test_ten_thousand_tools_are_cut_with_a_warning(open_tools: Open) -> None:
    with capture_logs() as logs:
        async with responsive():
            tools = await by_name(open_tools(raw_server("many tools")))
    assert len(tools) == 100
    assert [log["kept"] for log in logs if log["event"] == "mcp_tools_left_out"] == [100]


async def test_large_schemas_and_descriptions_are_cut(open_tools: Open) -> None:
    with capture_logs() as logs:
        tools = await by_name(open_tools(raw_server("huge schema")))
    (small,) = tools.values()
    assert small.spec.name == "raw_small"
    assert len(small.spec.description) < 5_000
    assert "mcp_tools_left_out" in str(logs)


async def test_a_list_without_an_end_is_cut(open_tools: Open) -> None:
    async with responsive():
        tools = await by_name(open_tools(raw_server("endless pages")))
    assert list(tools) == ["raw_call"]


async def test_names_are_valid_and_different(open_tools: Open) -> None:
    tools = await by_name(open_tools(raw_server("names")))
    assert len(tools) == 4
    assert "raw_a_b" in tools
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in tools)
    for tool in tools.values():
        assert await tool.run({}) == GOOD


async def test_changes_without_an_end_are_seen_once_in_a_while(open_tools: Open) -> None:
    all_tools = open_tools(raw_server("changes"))
    with capture_logs() as logs:
        for _ in range(20):
            assert "raw_call" in await by_name(all_tools)
            await asyncio.sleep(0.02)
    assert [log["event"] for log in logs].count("mcp_tools_listed") == 1


@pytest.mark.parametrize("habit", ["reports an error", "returns an error"])
async def test_an_error_is_cut_and_tells_no_secret(habit: str, open_tools: Open) -> None:
    server = raw_server(habit, env={"SECRET": "sesame-1234"})
    tools = await by_name(open_tools(server))
    with pytest.raises(ToolFailed) as failure:
        await call(tools)
    assert "sesame" not in str(failure.value)
    assert len(str(failure.value)) < 3_000


async def test_only_images_that_browsers_show_safely_are_images(open_tools: Open) -> None:
    tools = await by_name(open_tools(raw_server("bomb in an image")))
    result = await call(tools)
    assert isinstance(result, ToolResult)
    assert result.shown == ()
    assert result.text == "[image: it can't be shown]\n\n[image: it can't be shown]"


async def test_standard_error_is_logged_within_limits_and_without_secrets(
    open_tools: Open,
) -> None:
    with capture_logs() as logs:
        server = raw_server("stderr", env={"SECRET": "sesame-1234"})
        tools = await by_name(open_tools(server))
        assert await call(tools) == GOOD
    logged = [log for log in logs if log["event"] == "mcp_server_stderr"]
    lines = [log["text"] for log in logged]
    assert logged[-1]["log_level"] == "debug", "it may quote users"
    assert 1 <= len(lines) <= 200
    assert all(len(line) < 600 for line in lines)
    assert "sesame" not in str(lines)


async def test_a_process_that_does_not_end_is_killed_with_its_children(open_tools: Open) -> None:
    before = children()
    with capture_logs() as logs:
        all_tools = open_tools(raw_server("does not end"))
        await by_name(all_tools)
        assert len(children() - before) == 1
        await all_tools.aclose()
    assert children() <= before
    (pid,) = [int(log["text"]) for log in logs if log["event"] == "mcp_server_stderr"]
    await until(lambda: not is_running(pid))


async def test_a_child_of_a_server_ends_with_it(open_tools: Open) -> None:
    with capture_logs() as logs:
        all_tools = open_tools(raw_server("has a child"))
        await by_name(all_tools)
        await all_tools.aclose()
    (pid,) = [int(log["text"]) for log in logs if log["event"] == "mcp_server_stderr"]
    await until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_lines_are_split_however_they_arrive() -> None:
    data = b'{"a": 1}\n\n' + b"x" * 2_000 + b"\nend\n"
    for step in (1, 3, 1_000, 5_000):
        lines = LineSplitter(100)
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        found = [line for piece in pieces for line in lines.feed(piece)]
        assert [line for line in found if isinstance(line, bytes)] == [b'{"a": 1}', b"", b"end"]
        (long,) = [line for line in found if isinstance(line, LongLine)]
        assert len(long.start) <= 500
        assert len(long.end) <= 500
        assert lines.skipped_bytes == 0


@pytest.mark.parametrize(
    ("start", "end", "request_id"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{', b"}}", 7),
        (b'{"result":{"id":8', b'},"jsonrpc":"2.0","id":9}\n', 9),
        (b'{"result":{"id":8', b'"id":9}}', None),
        (b"", b"", None),
    ],
)
def test_the_id_of_a_long_line_is_read_at_its_ends(
    start: bytes, end: bytes, request_id: int | None
) -> None:
    assert LongLine(start, end).request_id == request_id
