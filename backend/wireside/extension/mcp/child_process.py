"""Speaks MCP with a server that runs as a child process, on its standard input and output.

The process gets a small environment, without the secrets of Wireside. It leads a process group,
which ends with the session. Lines on its standard error are logged, within limits; once the session
is open they may quote users and models, and are logged for debugging only.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    RequestId,
    jsonrpc_message_adapter,
)

from wireside.extension.mcp.servers import McpServer
from wireside.extension.mcp.traffic import (
    MAX_MESSAGE_BYTES,
    Incoming,
    LimitedStream,
    Streams,
    Throttle,
)

_log = structlog.get_logger(__name__)

JUNK_LINES: Final = 100
"""Number of lines without a message that count as much as a message."""

CHUNK_BYTES: Final = 64 * 1024

MAX_SKIPPED_BYTES: Final = 256 * 1024 * 1024
"""Size of a line at which a process is given up instead of skipping the rest of the line."""

KEPT_BYTES: Final = 500
"""Number of bytes at the start and at the end of a long line that are kept."""

END_S: Final = 1.0
"""Seconds for which a process may run after its input is closed, and again after SIGTERM."""

WRITE_S: Final = 20.0
"""Seconds after which a process that does not read its input is given up."""

EXIT_POLL_S: Final = 1.0

LOG_LINE_CHARS: Final = 500
LOG_LINES_PER_S: Final = 5
LOG_BURST: Final = 50

_ID_AT_START: Final = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\b')
_ID_AT_END: Final = re.compile(rb'"id"\s*:\s*(\d{1,15})\s*\}\s*$')


@asynccontextmanager
async def child_process_streams(
    server: McpServer,
    throttle: Throttle,
    *,
    is_open: Callable[[], bool],
    on_end: Callable[[str], None],
) -> AsyncGenerator[Streams]:
    """Start a server; yield its messages, and a stream of messages for it.

    Args:
        server: a server with a ``command``.
        throttle: slows the server down.
        is_open: returns whether the session has been opened.
        on_end: called with the reason, a sentence, if the process ends or is given up.

    Raises:
        OSError: the process can't be started.
    """
    is_closing = False

    def ended(reason: str) -> None:
        if not is_closing:
            on_end(reason)

    process = await _start(server)
    read, incoming = anyio.create_memory_object_stream[Incoming](0)
    outgoing, written = anyio.create_memory_object_stream[SessionMessage](0)
    assert process.stderr is not None
    work = [
        asyncio.create_task(_read(process, read, throttle, ended)),
        asyncio.create_task(_write(process, written, ended)),
        asyncio.create_task(_log_errors(process.stderr, server, is_open)),
        asyncio.create_task(_watch(process, ended)),
    ]
    try:
        yield LimitedStream(incoming, throttle), outgoing
    finally:
        is_closing = True
        try:
            await _end_gently(process)
        finally:
            _signal_group(process, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            await _has_ended(process)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            for stream in (read, incoming, outgoing, written):
                stream.close()
            process._transport.close()  # type: ignore[attr-defined]  # pipes that a descendant holds


async def _start(server: McpServer) -> Process:
    environment = get_default_environment() | dict(server.env)
    program, *arguments = server.command
    return await asyncio.create_subprocess_exec(
        shutil.which(program, path=environment.get("PATH")) or program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=server.cwd or None,
        start_new_session=True,
    )


async def _read(
    process: Process,
    messages: MemoryObjectSendStream[Incoming],
    throttle: Throttle,
    on_end: Callable[[str], None],
) -> None:
    """Pass the messages of a process on until its output ends."""
    stdout = process.stdout
    assert stdout is not None
    lines = LineSplitter(MAX_MESSAGE_BYTES)
    try:
        while data := await stdout.read(CHUNK_BYTES):
            junk = 0
            for line in lines.feed(data):
                if (message := _message_of(line)) is not None:
                    await messages.send(message)
                    continue
                junk += 1
                if junk % JUNK_LINES == 0:
                    await throttle.pay(1)
                    await asyncio.sleep(0)
            if lines.skipped_bytes > MAX_SKIPPED_BYTES:
                return on_end("It sent a line without an end.")
            if lines.skipped_bytes:
                await asyncio.sleep(0)  # data that is only skipped costs little
            else:
                await throttle.pay_bytes(len(data))
        has_ended = await _has_ended(process)
        on_end(_exit_of(process) if has_ended else "It has closed its output.")
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        on_end("Its output can't be read.")
    finally:
        messages.close()


def _message_of(line: bytes | LongLine) -> SessionMessage | None:
    """Return the message of a line; None for anything else, such as a ``print`` of the server.

    A response that can't be read becomes an error, so that its request need not wait.
    """
    if isinstance(line, LongLine):
        return _error_for(line, f"The result has more than {MAX_MESSAGE_BYTES // 2**20} MB.")
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return _error_for(LongLine.of(line), "The response is invalid.")


def _error_for(line: LongLine, text: str) -> SessionMessage | None:
    """Return an error for the request that a line answers; None if it can't be told."""
    if (request_id := line.request_id) is None:
        return None
    error = ErrorData(code=INTERNAL_ERROR, message=text)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))


async def _write(
    process: Process,
    messages: MemoryObjectReceiveStream[SessionMessage],
    on_end: Callable[[str], None],
) -> None:
    """Write messages to a process."""
    stdin = process.stdin
    assert stdin is not None
    try:
        async for message in messages:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            stdin.write(text.encode() + b"\n")
            async with asyncio.timeout(WRITE_S):
                await stdin.drain()
    except TimeoutError:
        on_end("It does not read its input.")
    except OSError:
        on_end("It has closed its input.")
    finally:
        messages.close()


async def _watch(process: Process, on_end: Callable[[str], None]) -> None:
    """Report the exit of a process, also if a descendant keeps its output open.

    ``Process.wait`` would wait for the descendant.
    """
    while process.returncode is None:  # noqa: ASYNC110  (nothing else tells it)
        await asyncio.sleep(EXIT_POLL_S)
    on_end(_exit_of(process))


def _exit_of(process: Process) -> str:
    return f"It has ended with exit code {process.returncode}."


async def _log_errors(
    stderr: asyncio.StreamReader, server: McpServer, is_open: Callable[[], bool]
) -> None:
    """Log the lines of standard error, as many as fit; the others are counted."""
    clock = asyncio.get_running_loop().time
    lines = LineSplitter(LOG_LINE_CHARS)
    paid_until, dropped = 0.0, 0
    throttle = Throttle()
    while data := await stderr.read(CHUNK_BYTES):
        for line in lines.feed(data):
            paid_until = max(paid_until, clock() - LOG_BURST / LOG_LINES_PER_S)
            if paid_until > clock():
                dropped += 1
                continue
            paid_until += 1 / LOG_LINES_PER_S
            raw = line.start if isinstance(line, LongLine) else line
            text = server.redacted(raw.decode(errors="replace")).strip()
            if isinstance(line, LongLine):  # a secret may begin before the cut
                text = text[: -server.longest_secret or None]
            if text:
                more = {"dropped": dropped} if dropped else {}
                log = _log.debug if is_open() else _log.info
                log("mcp_server_stderr", server=server.name, text=text, **more)
                dropped = 0
        await throttle.pay_bytes(len(data))
        await asyncio.sleep(0)


async def _end_gently(process: Process) -> None:
    """Close the input of a process, then ask its group to end."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    if not await _has_ended(process):
        _signal_group(process, signal.SIGTERM)
        await _has_ended(process)


async def _has_ended(process: Process) -> bool:
    """Wait for the end of a process, ``END_S`` at most."""
    clock = asyncio.get_running_loop().time
    until = clock() + END_S
    while process.returncode is None and clock() < until:  # noqa: ASYNC110  (as above)
        await asyncio.sleep(0.02)
    return process.returncode is not None


def _signal_group(process: Process, number: signal.Signals) -> None:
    """Signal the process group that a process leads; it may outlive the process."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.kill()


# ---- lines ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LongLine:
    """The start and the end of a line that is too long."""

    start: bytes
    end: bytes

    @classmethod
    def of(cls, line: bytes) -> LongLine:
        """Return the ends of a line."""
        return cls(line[:KEPT_BYTES], line[-KEPT_BYTES:])

    @property
    def request_id(self) -> RequestId | None:
        """The id of the request that the line answers; None if it is not at either end."""
        found = _ID_AT_START.match(self.start) or _ID_AT_END.search(self.end)
        return int(found[1]) if found else None


class LineSplitter:
    """Splits data into lines; of a line with more than ``max_bytes`` only the ends are kept."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._start: bytes | None = None
        self.skipped_bytes = 0
        """Size of the unfinished line if it is too long, 0 otherwise."""

    def feed(self, data: bytes) -> Iterator[bytes | LongLine]:
        """Yield the lines that end in ``data``."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._extend(end)
            yield self._take()
        self._extend(rest)

    def _extend(self, data: bytes) -> None:
        self._line += data
        if self._start is None and len(self._line) > self._max_bytes:
            self._start = bytes(self._line[:KEPT_BYTES])
        if self._start is not None:
            self.skipped_bytes += len(data)
            del self._line[:-KEPT_BYTES]

    def _take(self) -> bytes | LongLine:
        line, start = bytes(self._line), self._start
        self._line.clear()
        self._start, self.skipped_bytes = None, 0
        return line if start is None else LongLine(start, line)
