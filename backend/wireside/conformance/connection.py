"""A connection of the kit to a server under test: every wait and every buffer has a bound."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from wireside.conformance.address import Address
from wireside.conformance.frames import LAST_TYPES, Frame
from wireside.conformance.results import RateLimitReached, TimedOut, Violation, shown

RATE_LIMIT_EXCEEDED: Final = "Rate limit exceeded"
"""The message of that error on both levels."""

MINUTE_S: Final = 60.0
"""Interval of the rate limit, in seconds."""

MAX_FRAME_BYTES: Final = 4 * 1_048_576
MAX_FRAMES: Final = 50_000
MAX_TEXT_BYTES: Final = 64 * 1_048_576
"""Bytes of all frames of a connection; with ``MAX_FRAMES``, a bound against a flood."""

MAX_TRANSCRIPT: Final = 60
"""Lines of a transcript at its beginning; the rest is counted."""


class FrameTranscript:
    """What a check sent and received, in short lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        """Add a line."""
        if len(self._lines) < MAX_TRANSCRIPT:
            self._lines.append(shown(line))
        else:
            self._more += 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, and the number of those left out."""
        rest = (f"… {self._more} more",) if self._more else ()
        return (*self._lines, *rest)


class RecordedConnection:
    """An open WebSocket.

    All methods raise ``Violation`` if the server closes the connection, sends what is not a frame,
    or sends nothing for ``timeout_s`` although it must.
    """

    def __init__(
        self, socket: ClientConnection, transcript: FrameTranscript, timeout_s: float
    ) -> None:
        self.socket = socket
        self.timeout_s = timeout_s
        self.tests_rate_limit = False
        self._transcript = transcript
        self._fences = itertools.count(1)
        self._frames = 0
        self._bytes = 0

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """Send a frame: fields as JSON, a text as it is, or bytes as a binary frame."""
        data = json.dumps(frame, ensure_ascii=False) if isinstance(frame, Mapping) else frame
        await self.send_message(data)

    async def send_message(self, data: Any, *, is_text: bool | None = None) -> None:
        """Send what ``websockets`` accepts: also fragments, and bytes as text."""
        self._transcript.add(f"→ {data if isinstance(data, str) else shown(data)}")
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.socket.send(data, text=is_text)
        except TimeoutError:
            raise TimedOut("a server that reads", f"no read in {self.timeout_s:g} s") from None
        except ConnectionClosed:
            raise self._closed("an open connection") from None

    async def receive_text(self, expected: str = "a frame") -> str:
        """Return the next text frame. ``expected`` describes it in a fault."""
        try:
            async with asyncio.timeout(self.timeout_s):
                data = await self.socket.recv()
        except TimeoutError:
            raise TimedOut(expected, f"nothing within {self.timeout_s:g} s") from None
        except ConnectionClosed:
            raise self._closed(expected) from None
        self._transcript.add(f"← {data if isinstance(data, str) else shown(data)}")
        if isinstance(data, bytes):
            raise Violation(f"{expected} as text", f"a binary frame of {len(data)} bytes")
        self._frames += 1
        self._bytes += len(data)
        if self._frames > MAX_FRAMES or self._bytes > MAX_TEXT_BYTES:
            raise Violation(expected, f"a flood of {self._frames:,} frames, {self._bytes:,} bytes")
        return data

    async def receive(self, expected: str = "a frame") -> Frame:
        """Return the next frame.

        Raises:
            RateLimitReached: it reports the rate limit, unless ``tests_rate_limit``.
        """
        frame = Frame.parse(await self.receive_text(expected))
        if (
            frame.type == "error"
            and frame.get("message") == RATE_LIMIT_EXCEEDED
            and not self.tests_rate_limit
        ):
            retry_after = frame.get("retry_after")
            is_usable = isinstance(retry_after, int | float) and 0 <= retry_after <= MINUTE_S
            raise RateLimitReached(retry_after if is_usable else MINUTE_S)
        return frame

    async def receive_request(self, request_id: str | None = None) -> list[Frame]:
        """Return all frames up to the last one of a request."""
        return await self.receive_requests([request_id])

    async def receive_requests(self, ids: Sequence[str | None]) -> list[Frame]:
        """Return all frames up to the last ones of several requests; an id may occur repeatedly."""
        frames: list[Frame] = []
        missing = list(ids)
        while missing:
            names = ", ".join("level 1" if one is None else str(one) for one in missing)
            frame = await self.receive(f"the end of the answer ({names})")
            frames.append(frame)
            if frame.type in LAST_TYPES and frame.id in missing:
                missing.remove(frame.id)
        return frames

    async def receive_until(self, kind: str, request_id: str | None = None) -> list[Frame]:
        """Return all frames up to the first one of a type, or the last one of its request."""
        frames: list[Frame] = []
        while True:
            frame = await self.receive(f"`{kind}`")
            frames.append(frame)
            if frame.id == request_id and frame.type in {kind, *LAST_TYPES}:
                return frames

    async def fence(self, *, level: int = 2) -> list[Frame]:
        """Send a ping and return the frames before its pong: what was unanswered until then."""
        t = f"fence-{next(self._fences)}" if level == 2 else None
        await self.send({"type": "ping"} if t is None else {"type": "ping", "t": t})
        frames: list[Frame] = []
        while True:
            frame = await self.receive("`pong`: the connection stays open")
            if frame.type == "pong" and frame.get("t") == t:
                return frames
            frames.append(frame)

    async def expect_nothing(self, *, level: int = 2) -> None:
        """Check that the server sends nothing before it answers a ping."""
        if frames := await self.fence(level=level):
            raise Violation("no frame before the pong", shown(frames[0].text))

    async def ping_socket(self) -> None:
        """Check that a ping of the WebSocket is answered by a pong."""
        self._transcript.add("→ WebSocket ping")
        try:
            async with asyncio.timeout(self.timeout_s):
                await (await self.socket.ping())
        except TimeoutError:
            came = f"nothing within {self.timeout_s:g} s"
            raise TimedOut("a WebSocket pong", came) from None
        except ConnectionClosed:
            raise self._closed("a WebSocket pong") from None

    async def receive_close(self, code: int) -> list[Frame]:
        """Return the frames before the server closes the connection, with this code."""
        expected = f"close code {code}"
        frames: list[Frame] = []
        try:
            async with asyncio.timeout(self.timeout_s):
                while True:
                    data = await self.socket.recv()
                    self._transcript.add(f"← {data if isinstance(data, str) else shown(data)}")
                    if isinstance(data, str):
                        frames.append(Frame.parse(data))
                    if len(frames) > MAX_FRAMES:
                        raise Violation(expected, "a flood of frames")
        except TimeoutError:
            raise TimedOut(expected, f"no close within {self.timeout_s:g} s") from None
        except ConnectionClosed:
            if self.socket.close_code != code:
                raise self._closed(expected) from None
            self._transcript.add(f"← close {self._close_text}")
        return frames

    async def close(self) -> int | None:
        """Close with code 1000; return the code of the server's close frame."""
        self._transcript.add("→ close 1000")
        async with asyncio.timeout(self.timeout_s + 1):
            await self.socket.close(1000)
        frame = self.socket.protocol.close_rcvd
        return None if frame is None else int(frame.code)

    def drop(self) -> None:
        """Abort the TCP connection without a close frame."""
        self._transcript.add("  (the connection is dropped)")
        self.socket.transport.abort()

    def _closed(self, expected: str) -> Violation:
        self._transcript.add(f"← close {self._close_text}")
        return Violation(expected, f"the connection closed with {self._close_text}")

    @property
    def _close_text(self) -> str:
        return f"{self.socket.close_code} {self.socket.close_reason or ''}".strip()


@asynccontextmanager
async def open_connection(
    address: Address,
    transcript: FrameTranscript,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    query: str = "",
    subprotocols: Sequence[str] = (),
    compression: str | None = "deflate",
) -> AsyncIterator[RecordedConnection]:
    """Open a connection; it is aborted at the end unless it was closed.

    Raises:
        Violation: the server refuses it.
    """
    try:
        socket = await connect(
            address.url + query,
            additional_headers=dict(headers),
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            compression=compression,
            user_agent_header="wireside-conformance",
            proxy=None,
            open_timeout=timeout_s,
            close_timeout=timeout_s,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
        )
    except InvalidStatus as error:
        body = (error.response.body or b"").decode("utf-8", "replace")
        came = f"HTTP {error.response.status_code}: {body}"
        raise Violation("an open WebSocket (HTTP 101)", shown(came)) from None
    except TimeoutError:
        came = f"nothing within {timeout_s:g} s"
        raise TimedOut("an open WebSocket (HTTP 101)", came) from None
    except (OSError, EOFError, WebSocketException) as error:
        came = f"{type(error).__name__}: {error}"
        raise Violation("an open WebSocket (HTTP 101)", shown(came)) from None
    try:
        yield RecordedConnection(socket, transcript, timeout_s)
    finally:
        socket.transport.abort()
        async with asyncio.timeout(timeout_s):
            await socket.wait_closed()
